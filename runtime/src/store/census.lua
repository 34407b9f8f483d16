local instance, gone = arg(1), int(2)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - gone)
redis.call('ZADD', KEYS[1], now, instance)
redis.call('PEXPIRE', KEYS[1], math.ceil(gone / 1000))
return {redis.call('ZCARD', KEYS[1])}
