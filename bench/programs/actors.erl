%% The Erlang side of the benchmark of actors. A line on standard input is a command and its numbers; the answer is one
%% line, `result N …` with times in microseconds. It ends with its input, so with the harness, however that ends.
-module(actors).
-export([main/0]).
-behaviour(gen_server).
-export([init/1, handle_call/3, handle_cast/2]).

main() ->
    register(sink, spawn_link(fun() -> sink(0) end)),
    {ok, _} = gen_server:start_link({local, server}, ?MODULE, [], []),
    io:format("ready ~s~n", [node()]),
    loop(undefined).

loop(State) ->
    case io:get_line("") of
        eof -> halt(0);
        Line ->
            [Command | Arguments] = string:tokens(string:trim(Line), " "),
            {Result, Next} = run(Command, Arguments, State),
            io:format("result~s~n", [[io_lib:format(" ~w", [N]) || N <- Result]]),
            loop(Next)
    end.

run("local", [N], State) -> {[timed(fun() -> local(list_to_integer(N)) end)], State};
run("ring_open", [Size], _) -> {[0], ring(list_to_integer(Size))};
run("ring_pass", [Tokens, Hops], Ring) ->
    {[timed(fun() -> pass(Ring, list_to_integer(Tokens), list_to_integer(Hops)) end)], Ring};
run("spawn", [N], State) -> {spawn_and_end(list_to_integer(N)), State};
run("remote", [Node, N], State) ->
    {[timed(fun() -> remote(list_to_atom(Node), list_to_integer(N)) end)], State};
run("calls", [Node, Callers, N], State) ->
    To = {server, list_to_atom(Node)},
    {[timed(fun() -> calls(To, list_to_integer(Callers), list_to_integer(N)) end)], State}.

timed(Fun) ->
    Start = erlang:monotonic_time(microsecond),
    Fun(),
    erlang:monotonic_time(microsecond) - Start.

%% One sender, one receiver, as fast as they go.

local(N) ->
    Sink = spawn(fun() -> sink(0) end),
    Self = self(),
    spawn(fun() -> flood(Sink, N), Self ! {answer, count(Sink)} end),
    receive {answer, N} -> ok end,
    exit(Sink, kill).

flood(_, 0) -> ok;
flood(To, N) ->
    To ! #{number => N, text => <<"a note">>},
    flood(To, N - 1).

sink(Notes) ->
    receive
        #{number := _, text := _} -> sink(Notes + 1);
        {count, From} -> From ! {notes, Notes}, sink(Notes)
    end.

count(Sink) ->
    Sink ! {count, self()},
    receive {notes, Notes} -> Notes end.

%% A ring; a token that has made all its hops goes to the one who waits.

ring(Size) ->
    First = spawn(fun() -> receive {next, Next} -> member(Next) end end),
    Last = lists:foldl(fun(_, Next) -> spawn(fun() -> member(Next) end) end, First, lists:seq(2, Size)),
    First ! {next, Last},
    Last.

member(Next) ->
    receive
        {token, 0, Owner} -> Owner ! arrived, member(Next);
        {token, Hops, Owner} -> Next ! {token, Hops - 1, Owner}, member(Next)
    end.

pass(Ring, Tokens, Hops) ->
    Self = self(),
    [Ring ! {token, Hops, Self} || _ <- lists:seq(1, Tokens)],
    [receive arrived -> ok end || _ <- lists:seq(1, Tokens)].

%% Time to spawn them all and to end them all; bytes each in between.

spawn_and_end(N) ->
    erlang:garbage_collect(),
    Before = erlang:memory(total),
    Self = self(),
    Start = erlang:monotonic_time(microsecond),
    Actors = spawn_all(Self, N, []),
    Spawned = erlang:monotonic_time(microsecond),
    erlang:garbage_collect(),
    %% Two words a process are the list in which this benchmark keeps them.
    Bytes = (erlang:memory(total) - Before) div N - 16,
    Ending = erlang:monotonic_time(microsecond),
    [Actor ! stop || Actor <- Actors],
    await(N),
    Ended = erlang:monotonic_time(microsecond),
    [Spawned - Start + Ended - Ending, Bytes].

spawn_all(_, 0, Actors) -> Actors;
spawn_all(Self, N, Actors) ->
    Actor = spawn(fun() -> receive stop -> Self ! ended end end),
    spawn_all(Self, N - 1, [Actor | Actors]).

await(0) -> ok;
await(N) -> receive ended -> await(N - 1) end.

%% To another node.

remote(Node, N) ->
    Sink = {sink, Node},
    Before = count(Sink),
    flood(Sink, N),
    After = count(Sink),
    N = After - Before.

calls(To, Callers, N) ->
    Each = N div Callers,
    Monitors = [spawn_monitor(fun() -> call(To, Each) end) || _ <- lists:seq(1, Callers)],
    [receive {'DOWN', Ref, process, Pid, normal} -> ok end || {Pid, Ref} <- Monitors].

call(_, 0) -> ok;
call(To, N) ->
    #{number := N} = gen_server:call(To, #{number => N, text => <<"a note">>}),
    call(To, N - 1).

init([]) -> {ok, []}.
handle_call(#{number := Number}, _From, State) -> {reply, #{number => Number}, State}.
handle_cast(_, State) -> {noreply, State}.
