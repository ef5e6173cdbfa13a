-- parking: (no job moves)
-- From now on the breaker parks what runs before its next paid call, in one
-- partition, for as long as the gate's head is the one it closed.
-- KEYS:    money
-- ARGV:    head
-- REPLY:   parking
-- FLAGS:   allow-oom
redis.call('HSET', K.money, 'parking', A.head)
return { 'parking' }
