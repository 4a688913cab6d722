-- Grants a key that was never asked for: the usual case of `act.lua`, in a third of its words. Of one that was
-- asked for it says what there is, and writes nothing.

local mark, sec, nsec, key, job, print, state, said, bid, lease_sec, lease_nsec = unpack(ARGV)
local entry = 'cronx:entry:' .. key

if redis.call('GET', 'cronx:ledger') ~= mark then
  return redis.error_reply('FORGOTTEN it is not what it was')
end
if sec == '' then
  local time = redis.call('TIME')
  sec, nsec = tonumber(time[1]), tonumber(time[2]) * 1000
else
  sec, nsec = tonumber(sec), tonumber(nsec)
end
if redis.call('EXISTS', entry) == 1 then
  local fields = { 'fence', 'attempt', 'print', 'state', 'said', 'bid', 'until', 'since' }
  return { 0, sec, nsec, redis.call('HMGET', entry, unpack(fields)), false, false, {} }
end
if job ~= '' then
  -- Were it of another kind, it would be known here, before anything is written.
  redis.call('SCARD', 'cronx:open:' .. job)
end

local function instant(s, n)
  if n >= 1e9 then s, n = s + 1, n - 1e9 end
  if s > 9223372036 or (s == 9223372036 and n > 854775807) then return '9223372036854775807' end
  return string.format('%.0f%09.0f', s, n)
end

local since = instant(sec, nsec)
redis.call('HSET', entry,
  'fence', string.format('%.0f', sec * 1e6 + math.floor(nsec / 1e3) + 1), 'attempt', '1', 'print', print,
  'state', state, 'said', said, 'bid', bid, 'until', instant(sec + lease_sec, nsec + lease_nsec),
  'since', since)
redis.call('ZADD', 'cronx:keys', 0, key)
-- The latest first.
redis.call('ZADD', 'cronx:since', -tonumber(since), key)
if job ~= '' then redis.call('SADD', 'cronx:open:' .. job, key) end
return { 1, sec, nsec, false, false, false, {} }
