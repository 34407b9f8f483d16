local lease = int(1)
local holders = KEYS[1]

-- The first write is one that a full server allows, and the others take no memory: it lets them through.
begin(holders, lease)

local reply = {redis.call('ZCARD', holders)}
for i = 2, #ARGV - 1 do
  reply[i] = 0
  if redis.call('ZSCORE', holders, arg(i)) then
    redis.call('ZADD', holders, now + lease, arg(i))
    reply[i] = 1
  end
end
keep(holders)
return reply
