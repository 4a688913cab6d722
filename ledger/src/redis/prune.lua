-- Of the entries that are as they are for so long, looks at some, beginning with one of them: lets go of firings
-- and calls that are done. Says how many it looked at, and how many are gone.

local mark, sec, nsec, age_sec, age_nsec, first, most = unpack(ARGV)
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

-- As the entries have it: of as many digits, and exact. The index is not, so what it takes for this very instant
-- is looked at too. There the latest is the first.
local before = string.format('%.0f%09.0f', sec, nsec)
local function goes(key)
  local special = string.match(key, '^[^/]*/(~%a+)/')
  if special and special ~= '~call' then return false end
  local state, since = unpack(redis.call('HMGET', 'cronx:entry:' .. key, 'state', 'since'))
  return state == '3' and since < before
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
