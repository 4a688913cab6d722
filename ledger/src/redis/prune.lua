-- Of the entries that are as they are for so long, looks at some, beginning with one of them: lets go of a tenant's
-- calls and firings that are done, unless a job's schedule can ask for one again. Says how many it looked at, and
-- how many are gone.

local mark, sec, nsec, tenant, age_sec, age_nsec, first, most = unpack(ARGV)
if redis.call('GET', 'cronx:ledger') ~= mark then
  return redis.error_reply('FORGOTTEN it is not what it was')
end
if sec == '' then
  local time = redis.call('TIME')
  sec, nsec = time[1], time[2] * 1000
end

sec, nsec = sec - age_sec, nsec - age_nsec
if nsec < 0 then sec, nsec = sec - 1, nsec + 1e9 end
if sec < 1e9 then return { 0, 0 } end

-- Of instants as texts, none of which is before 1970.
local function is_less(one, other)
  if #one ~= #other then return #one < #other end
  return one < other
end

-- Its key has an instant, if it is a firing's; with a `+`, if somebody asked for it.
local function is_over(key, since)
  local job, instant = string.match(key, '^([^/]*/[^/~][^/]*)/(.*)$')
  if not job then return string.match(key, '^[^/]*/~call/') end
  if string.find(instant, '+', 1, true) then return true end
  local course = redis.call('HGET', 'cronx:courses', job)
  return not course or is_less(since, string.match(course, '^%d*'))
end

-- As the entries have it, exact. The index is not, so what it takes for this very instant is looked at too. There
-- the latest is the first.
local before = string.format('%.0f%09.0f', sec, nsec)
local function goes(key)
  if string.sub(key, 1, #tenant) ~= tenant then return false end
  local state, since = unpack(redis.call('HMGET', 'cronx:entry:' .. key, 'state', 'since'))
  return state == '3' and is_less(since, before) and is_over(key, since)
end

local gone = 0
local seen = redis.call('ZREVRANGEBYSCORE', 'cronx:since', '+inf', -tonumber(before), 'LIMIT', first, most)
for _, key in ipairs(seen) do
  if goes(key) then
    redis.call('DEL', 'cronx:entry:' .. key)
    redis.call('ZREM', 'cronx:keys', key)
    redis.call('ZREM', 'cronx:since', key)
    gone = gone + 1
  end
end
return { #seen, gone }
