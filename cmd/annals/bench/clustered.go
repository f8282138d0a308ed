package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// The scenarios of a cluster: what nodes, a way over another node, and leases
// cost. They build more than the others before they measure, and measure for
// less.

const (
	clusterOf = 3 // servers
	shortly   = time.Second
	// briefly is for three servers, which take seconds to elect their leaders.
	briefly = time.Second / 2
)

// oneNode: commands of Go clients to one node on replicated streams.
func oneNode(name string, workers int) scenario {
	return scenario{
		name: name, sync: embedded.SyncNone, servers: clusterOf, atMost: briefly,
		what: fmt.Sprintf("commands of Go clients, %d aggregates, one node on three servers, beside as many conditional publishers", workers),
		prepare: func(ctx context.Context, l *lab) (pair, error) {
			send, err := l.sendTo(ctx, "one", named("a")...)
			if err != nil {
				return pair{}, err
			}
			return l.against(ctx, workers, send)
		},
	}
}

// manyNodes: the same on several nodes, which all share this machine's
// processors: what it shows is what more nodes cost, not what they bring.
func manyNodes(name string, nodes, workers int) scenario {
	return scenario{
		name: name, sync: embedded.SyncNone, servers: clusterOf, atMost: briefly,
		what: fmt.Sprintf("the same on %d nodes, beside one node on the same servers; all share these processors: the overhead shows, not the scaling", nodes),
		prepare: func(ctx context.Context, l *lab) (pair, error) {
			var names []string
			for i := range nodes {
				names = append(names, string(rune('a'+i)))
			}
			many, err := l.sendTo(ctx, "many", named(names...)...)
			if err != nil {
				return pair{}, err
			}
			one, err := l.sendTo(ctx, "one", named("a")...)
			if err != nil {
				return pair{}, err
			}
			return pair{
				annals: func(ctx context.Context) (sample, error) { return l.load(ctx, workers, many) },
				raw:    func(ctx context.Context) (sample, error) { return l.load(ctx, workers, one) },
			}, nil
		},
	}
}

// sendTo starts a site and returns workers' work there: each has an aggregate
// of its own, and a few share a client.
func (l *lab) sendTo(ctx context.Context, namespace string, nodes ...cluster.Node) (func(worker, n int) error, error) {
	s, err := l.site(ctx, namespace, nodes...)
	if err != nil {
		return nil, err
	}
	senders := make([]gateway.Sender[command], 3)
	for i := range senders {
		client, err := s.client()
		if err != nil {
			return nil, err
		}
		senders[i] = gateway.For(client, Notebooks)
	}
	return func(worker, _ int) error {
		_, err := senders[worker%len(senders)].Send(ctx, notebookID(worker), page)
		return err
	}, nil
}

// hop: commands to a gateway that passes them on to the owner, beside the same
// to the owner at once. Both are sent as plain requests, for a Go client takes
// the direct way wherever it can.
func hop(name string, workers int) scenario {
	return scenario{
		name: name, sync: embedded.SyncNone, atMost: shortly, latency: workers == 1,
		what: fmt.Sprintf("commands by a gateway that passes them on to their owner, %d in flight, beside the same straight to the owner", workers),
		prepare: func(ctx context.Context, l *lab) (pair, error) {
			s, err := l.site(
				ctx, "hop",
				cluster.Node{Name: "owner", Roles: []cluster.Role{cluster.RoleActors}},
				cluster.Node{Name: "door", Roles: []cluster.Role{cluster.RoleGateway}},
			)
			if err != nil {
				return pair{}, err
			}
			nc, err := l.connectTo(s.server)
			if err != nil {
				return pair{}, err
			}
			command, err := Notebooks.Commands.Encode(store.MsgPack, page)
			if err != nil {
				return pair{}, err
			}
			ask := func(ctx context.Context, way func(stream store.StreamID) string) (sample, error) {
				return l.load(ctx, workers, func(worker, _ int) error {
					stream := store.StreamID{Type: Notebooks.Type, ID: notebookID(worker)}
					return request(ctx, nc, way(stream)+"cmd."+stream.Type+"."+stream.ID+"."+command.Name, command.Data)
				})
			}
			return pair{
				annals: func(ctx context.Context) (sample, error) {
					return ask(ctx, func(store.StreamID) string { return s.namespace + "." })
				},
				raw: func(ctx context.Context) (sample, error) {
					return ask(ctx, func(stream store.StreamID) string {
						return s.namespace + ".prt." + strconv.Itoa(stream.Partition(s.partitions)) + "."
					})
				},
			}, nil
		},
	}
}

// request sends a command as any NATS client may.
func request(ctx context.Context, nc *nats.Conn, subject string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	header := nats.Header{
		gateway.HeaderContentType: {"application/msgpack"}, gateway.HeaderDeadline: {startLimit.String()},
	}
	reply, err := nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: subject, Header: header, Data: body})
	if err == nil && reply.Header.Get(gateway.HeaderError) != "" {
		err = fmt.Errorf("%s: %s", subject, reply.Data)
	}
	return err
}

// leaseCheck: commands in process under the leases of a node, each turn of an
// actor asking before and after, beside a system that serves alone; both on the
// same log and connection, with aggregates of their own. The difference is
// small, so the turns are short and many.
func leaseCheck(name string, workers int) scenario {
	return scenario{
		name: name, sync: embedded.SyncNone, atMost: shortly / 10, rounds: 33,
		what: fmt.Sprintf("commands in process under leases, %d aggregates, beside the same without leases", workers),
		prepare: func(ctx context.Context, l *lab) (pair, error) {
			s, err := l.site(ctx, "leased", named("a")...)
			if err != nil {
				return pair{}, err
			}
			m := s.members[0]
			alone, err := l.system(func(c *actor.Config) { c.Log, c.Snapshots = m.log, m.log.Snapshots() })
			if err != nil {
				return pair{}, err
			}
			execute := func(ctx context.Context, system *actor.System, prefix string) (sample, error) {
				sender := actor.For(system, Notebooks)
				return l.load(ctx, workers, func(worker, _ int) error {
					_, err := sender.Execute(ctx, prefix+notebookID(worker), page)
					return err
				})
			}
			return pair{
				annals: func(ctx context.Context) (sample, error) { return execute(ctx, m.actors, "leased-") },
				raw:    func(ctx context.Context) (sample, error) { return execute(ctx, alone, "alone-") },
			}, nil
		},
	}
}

var errNotHeld = errors.New("the node lost its partitions")

// leaseEpoch: what an actor asks twice for each turn, by itself.
func leaseEpoch(name string) scenario {
	return scenario{
		name: name, sync: embedded.SyncNone, atMost: shortly,
		what: "whether a partition is held at this moment, beside reading the clock",
		prepare: func(ctx context.Context, l *lab) (pair, error) {
			s, err := l.site(ctx, "leased", named("a")...)
			if err != nil {
				return pair{}, err
			}
			leases, lost, began := s.members[0].cluster, 0, time.Now()
			return pair{
				annals: func(ctx context.Context) (sample, error) {
					x, err := l.repeat(ctx, func(n int) {
						if epoch, _ := leases.Epoch(n % s.partitions); epoch == 0 {
							lost++
						}
					})
					if lost > 0 {
						err = errors.Join(err, errNotHeld)
					}
					return x, err
				},
				raw: func(ctx context.Context) (sample, error) {
					return l.repeat(ctx, func(int) {
						if time.Since(began) < 0 {
							lost++
						}
					})
				},
			}, nil
		},
	}
}

// linearizableRead: a state as its owner has it in memory, by a Go client: for
// certain no older than the question, which costs a replicated write of the
// lease, beside what rests on the owner's clock.
func linearizableRead(name string) scenario {
	return scenario{
		name: name, sync: embedded.SyncNone, servers: clusterOf, atMost: briefly, latency: true,
		what: "linearizable reads of a Go client, with a barrier on three servers, beside plain reads from the owner's memory",
		prepare: func(ctx context.Context, l *lab) (pair, error) {
			s, err := l.site(ctx, "read", named("a")...)
			if err != nil {
				return pair{}, err
			}
			client, err := s.client()
			if err != nil {
				return pair{}, err
			}
			id := store.StreamID{Type: Notebooks.Type, ID: notebookID(0)}
			if _, err := gateway.For(client, Notebooks).Send(ctx, id.ID, page); err != nil {
				return pair{}, err
			}
			read := func(ctx context.Context, linearizable bool) (sample, error) {
				return l.load(ctx, 1, func(int, int) error {
					state, err := client.Read(ctx, id, linearizable)
					if err == nil && state.Version != 1 {
						err = fmt.Errorf("%s is at version %d", id, state.Version)
					}
					return err
				})
			}
			return pair{
				annals: func(ctx context.Context) (sample, error) { return read(ctx, true) },
				raw:    func(ctx context.Context) (sample, error) { return read(ctx, false) },
			}, nil
		},
	}
}
