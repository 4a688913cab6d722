-- Grants a key that was never asked for: the usual case of `act.lua`, in a few words. Of one that was asked for
-- it says what there is, and writes nothing.

local mark, key, job, print, bid, said, lease_sec, lease_nsec, sec, nsec = unpack(ARGV)
local name = 'cronx:entry:' .. key

local found = redis.call('MGET', 'cronx:ledger', name)
if found[1] ~= mark then
  return redis.error_reply('FORGOTTEN it is not what it was')
end
if sec == '' then
  local time = redis.call('TIME')
  sec, nsec = tonumber(time[1]), tonumber(time[2]) * 1000
else
  sec, nsec = tonumber(sec), tonumber(nsec)
end
if found[2] then return { 0, sec, nsec, found[2] } end
if job ~= '' then
  -- Were it of another kind, it would be known here, before anything is written.
  redis.call('SCARD', 'cronx:open:' .. job)
end

local function instant(s, n)
  if n >= 1e9 then s, n = s + 1, n - 1e9 end
  if s > 9223372036 or (s == 9223372036 and n > 854775807) then return '9223372036854775807' end
  return string.format('%.0f%09.0f', s, n)
end

local fence = string.format('%.0f', sec * 1e6 + math.floor(nsec / 1e3) + 1)
local since, ends = instant(sec, nsec), instant(sec + lease_sec, nsec + lease_nsec)
local entry = table.concat({ fence, '1 1', print, since, ends, bid, said }, ' ')
if not redis.call('SET', name, entry, 'NX') then
  -- What is there is no text: the server says so.
  return { 0, sec, nsec, redis.call('GET', name) }
end
redis.call('ZADD', 'cronx:keys', 0, key)
-- The latest first.
redis.call('ZADD', 'cronx:since', '-' .. since, key)
if job ~= '' then redis.call('SADD', 'cronx:open:' .. job, key) end
return { 1, sec, nsec, false }
