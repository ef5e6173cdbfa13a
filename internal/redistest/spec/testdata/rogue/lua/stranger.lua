-- stranger: (breaks the law)
-- KEYS:    leases
-- READS:   beat
-- REPLY:   done
local _ = K.leases, K.beat
redis.call('SET', K.leases .. 'x', '1')
return 'done'
