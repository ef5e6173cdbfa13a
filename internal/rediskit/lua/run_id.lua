-- run_id: which server process this is. Lease samples of another one are void.
local function run_id()
  if profile == 'embedded' then return 'embedded' end
  return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
end
