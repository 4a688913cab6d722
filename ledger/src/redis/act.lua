-- Compares what its asker believed with what there is; if that is so, writes what follows from it. Whatever it
-- does, it answers with what there was before, all of it at one instant.
--
-- All is read and compared before the first write, and the first write is the one that needs memory: a script
-- that fails after a write does not take it back. Instants have more digits than a number here: they stay texts.
-- `ask.rs` writes what is read here, one text after the other.

local FIELDS = { 'fence', 'attempt', 'print', 'state', 'said', 'bid', 'until', 'since' }
local FENCE, STATE, UNTIL = 1, 4, 7
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
  return key ~= '' and redis.call('HMGET', 'cronx:entry:' .. key, unpack(FIELDS))
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
if fence ~= '' and (seen[5][FENCE] ~= fence or seen[5][STATE] ~= IN_FLIGHT) then return seen end
if believed ~= '' and believed ~= (course and '=' .. course or '-') then return seen end
if count ~= '' and tonumber(count) ~= #open then return seen end
local change = arg()

-- An entry is what it was if its fence is, its state, and until when it is: what a fence was granted for does
-- not change, and it has one end.
local function is_believed(before, write)
  if write.fence == '-' then
    return redis.call('EXISTS', 'cronx:entry:' .. write.key) == 0
  end
  return before[FENCE] == write.fence and before[STATE] == write.state
    and (write.ends == '*' or before[UNTIL] == write.ends)
end

local writes = {}
while last < #ARGV do
  local write = { key = arg(), job = arg(), fence = arg(), state = arg(), ends = arg(), fields = {} }
  write.before = write.key == key and seen[4] or entry(write.key)
  if not is_believed(write.before, write) then return seen end
  for pair = 1, tonumber(arg()) do
    write.fields[2 * pair - 1], write.fields[2 * pair] = arg(), arg()
  end
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

local relative = {
  ['fence'] = function() return string.format('%.0f', sec * 1e6 + math.floor(nsec / 1e3) + 1) end,
  ['since'] = from_now,
  ['until'] = function(text, before) return later(from_now(text), before[UNTIL] or '') end,
}

for _, write in ipairs(writes) do
  local is = {}
  for at = 1, #write.fields, 2 do
    local field, value = write.fields[at], write.fields[at + 1]
    if relative[field] and string.sub(value, 1, 1) == '+' then
      value = relative[field](value, write.before)
      write.fields[at + 1] = value
    end
    is[field] = value
  end
  redis.call('HSET', 'cronx:entry:' .. write.key, unpack(write.fields))
  if write.fence == '-' then redis.call('ZADD', 'cronx:keys', 0, write.key) end
  -- The latest first.
  if is.since then redis.call('ZADD', 'cronx:since', -tonumber(is.since), write.key) end
  if is.state and write.job ~= '' then
    redis.call(is.state == DONE and 'SREM' or 'SADD', 'cronx:open:' .. write.job, write.key)
  end
end
if change == '-' then
  redis.call('HDEL', 'cronx:courses', job)
elseif change ~= '' then
  redis.call('HSET', 'cronx:courses', job, string.sub(change, 2))
end
seen[1], seen[2], seen[3] = 1, sec, nsec
return seen
