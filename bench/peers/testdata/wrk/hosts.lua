-- Asks for so many hosts in turn.
local requests, next = {}, 0

function init(args)
  for i = 0, tonumber(args[1]) - 1 do
    requests[#requests + 1] = wrk.format("GET", "/", { Host = string.format("app%d.example", i) })
  end
end

function request()
  next = next % #requests + 1
  return requests[next]
end
