-- begin: (no job moves)
-- Gives a gate that has never changed its first head, so that a gate that was
-- lost differs from one that is new.
-- KEYS:    gate
-- ARGV:    mark
-- REPLY:   begun
-- FLAGS:   allow-oom
-- INCLUDE: gate_head
local head = redis.call('HGET', K.gate, 'number')
if not head or head == '' then head = new_head(A.mark) end
return { 'begun', head }
