-- seal: (no job moves)
-- The log is chained, signed and exported up to an entry, provided that it was
-- up to the one the chain was continued from.
-- KEYS:    seal
-- ARGV:    from n id hash at key signature
-- REPLY:   sealed behind
-- FLAGS:   allow-oom
local have = redis.call('HGET', K.seal, 'hash') or ''
if have == A.hash then return { 'sealed' } end
if have ~= A.from then return { 'behind', have } end
redis.call('HSET', K.seal, 'n', A.n, 'id', A.id, 'hash', A.hash, 'at', A.at, 'key', A.key, 'signature', A.signature)
return { 'sealed' }
