local field = arg(1)
if field == '' then
  redis.call('UNLINK', KEYS[1], KEYS[2])
else
  redis.call('HDEL', KEYS[1], field)
  redis.call('ZREM', KEYS[2], field)
end
return {1}
