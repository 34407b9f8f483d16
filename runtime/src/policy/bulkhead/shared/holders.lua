-- Drops who has ended, and moves an end that lies further ahead than its lease is long.
local function begin(holders, lease)
  redis.call('ZREMRANGEBYSCORE', holders, '-inf', now)
  local last = redis.call('ZREVRANGE', holders, 0, 0, 'WITHSCORES')
  local function most(holder)
    return now + (tonumber(string.match(holder, '^%d+')) or lease)
  end
  if last[1] and tonumber(last[2]) > most(last[1]) then
    local all = redis.call('ZRANGE', holders, 0, -1, 'WITHSCORES')
    for i = 1, #all, 2 do
      if tonumber(all[i + 1]) > most(all[i]) then
        redis.call('ZADD', holders, most(all[i]), all[i])
      end
    end
  end
end
-- They are kept as long as the last of them lasts.
local function keep(holders)
  local last = redis.call('ZREVRANGE', holders, 0, 0, 'WITHSCORES')
  if last[1] then
    redis.call('PEXPIRE', holders, math.ceil((tonumber(last[2]) - now) / 1000))
  end
end
