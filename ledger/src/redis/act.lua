-- Compares what its asker believed with what there is; if that is so, writes what follows from it. Whatever it
-- does, it answers with what there was before, all of it at one instant.
--
-- All is read and compared before the first write, and the first write is the one that needs memory: a script
-- that fails after a write does not take it back. Instants have more digits than a number here: they stay texts.
-- `ask.rs` writes what is read here, one text after the other.

-- As `entry.rs` has it: fence, state, attempt, fingerprint, since, until, bid; and what was said.
local ENTRY = '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (.*)$'
local STATE, SINCE, WORDS = 2, 5, 7
local IN_FLIGHT, DONE = '1', '3'
local END_OF_TIME = '9223372036854775807'

local last = 0
local function arg()
  last = last + 1
  return ARGV[last]
end

if redis.call('GET', 'cronx:ledger') ~= arg() then
  return redis.error_reply('FORGOTTEN it is not what it was')
end

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]), tonumber(time[2]) * 1000
end

-- An instant may be told, instead of the server's own.
local function told(or_else)
  local sec, nsec = arg(), arg()
  if sec == '' then return or_else() end
  return tonumber(sec), tonumber(nsec)
end

local function entry(key)
  return key ~= '' and redis.call('GET', 'cronx:entry:' .. key)
end

local function begins(text, with)
  return text and string.sub(text, 1, #with) == with
end

local sec, nsec = told(now)
local key, guard, job, wants_open = arg(), arg(), arg(), arg()
local course, open = false, {}
if job ~= '' then
  course = redis.call('HGET', 'cronx:courses', job)
  -- Were it of another kind, it would be known here, before anything is written.
  redis.call('SCARD', 'cronx:open:' .. job)
end
if wants_open == '1' then
  for _, of_job in ipairs(redis.call('SMEMBERS', 'cronx:open:' .. job)) do
    open[#open + 1] = { of_job, entry(of_job) }
  end
end
local seen = { 0, sec, nsec, entry(key), entry(guard), course, open }
if last == #ARGV then return seen end

sec, nsec = told(function() return sec, nsec end)
local fence, believed, count = arg(), arg(), arg()
if fence ~= '' and not begins(seen[5], fence .. ' ' .. IN_FLIGHT .. ' ') then return seen end
if believed ~= '' and believed ~= (course and '=' .. course or '-') then return seen end
if count ~= '' and tonumber(count) ~= #open then return seen end
local change = arg()

-- An entry is what it was if it begins so: what a fence was granted for does not change, and it has one end.
local function is_believed(write)
  if write.believed == '-' then return not write.before end
  return begins(write.before, write.believed)
end

local writes = {}
while last < #ARGV do
  local write = { key = arg(), job = arg(), believed = arg(), words = {} }
  write.before = write.key == key and seen[4] or entry(write.key)
  write.was = { string.match(write.before or '', ENTRY) }
  -- One that no cronx wrote is no text of words: its asker says so.
  if not is_believed(write) or (write.before and #write.was == 0) then return seen end
  for at = 1, WORDS do write.words[at] = arg() end
  write.said = arg()
  writes[#writes + 1] = write
end

-- So long from now, at most the end of time.
local function from_now(text)
  local s, n = string.match(text, '^%+(%d+):(%d+)$')
  s, n = sec + tonumber(s), nsec + tonumber(n)
  if n >= 1e9 then s, n = s + 1, n - 1e9 end
  if s > 9223372036 or (s == 9223372036 and n > 854775807) then return END_OF_TIME end
  return string.format('%.0f%09.0f', s, n)
end

local function later(one, other)
  if #one ~= #other then return #one > #other and one or other end
  return one > other and one or other
end

-- By their places: the fence, since and until.
local relative = {
  [1] = function() return string.format('%.0f', sec * 1e6 + math.floor(nsec / 1e3) + 1) end,
  [5] = from_now,
  [6] = function(text, before) return later(from_now(text), before or '') end,
}

for _, write in ipairs(writes) do
  local words = {}
  for at, word in ipairs(write.words) do
    if word == '=' then
      word = write.was[at]
    elseif string.sub(word, 1, 1) == '+' then
      word = relative[at](word, write.was[at])
    end
    words[at] = word
  end
  words[WORDS + 1] = write.said == '' and write.was[WORDS + 1] or string.sub(write.said, 2)
  redis.call('SET', 'cronx:entry:' .. write.key, table.concat(words, ' '))
  if not write.before then redis.call('ZADD', 'cronx:keys', 0, write.key) end
  -- The latest first.
  if write.words[SINCE] ~= '=' then
    redis.call('ZADD', 'cronx:since', -tonumber(words[SINCE]), write.key)
  end
  if write.words[STATE] ~= '=' and write.job ~= '' then
    redis.call(words[STATE] == DONE and 'SREM' or 'SADD', 'cronx:open:' .. write.job, write.key)
  end
end
if change == '-' then
  redis.call('HDEL', 'cronx:courses', job)
elseif change ~= '' then
  redis.call('HSET', 'cronx:courses', job, string.sub(change, 2))
end
seen[1], seen[2], seen[3] = 1, sec, nsec
return seen
