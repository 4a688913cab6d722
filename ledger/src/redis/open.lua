-- Looks at what there is under our names, and makes a ledger where there is nothing.
-- ARGV: what a new one is to say, or nothing if none is to be made.

local KINDS = { ledger = 'string', keys = 'zset', since = 'zset', courses = 'hash' }

local others = false
for name, kind in pairs(KINDS) do
  name = 'cronx:' .. name
  local found = redis.call('TYPE', name).ok
  if found ~= 'none' and found ~= kind then
    return { 'foreign', 'its ' .. name .. ' is a ' .. found }
  end
  others = others or found ~= 'none' and name ~= 'cronx:ledger' and name
end
local ledger = redis.call('GET', 'cronx:ledger')
if ledger then return { 'ledger', ledger } end
if others then return { 'foreign', 'it has ' .. others .. ' and no cronx:ledger' } end
if ARGV[1] == '' then return { 'foreign', 'it has none of the keys of a ledger' } end
redis.call('SET', 'cronx:ledger', ARGV[1])
return { 'ledger', ARGV[1] }
