-- emit: one lifecycle event on the job's own stream; its entry id is the event
-- id that readers resume at. It is for readers: a stream that takes no more, or
-- is none, must not keep a job from its move, a kill least of all.
local function emit(id, kind, t, data)
  redis.pcall('XADD', P.events .. id, 'MAXLEN', '~', '5000', '*', 'type', kind, 'at', t, 'data', cjson.encode(data))
end
