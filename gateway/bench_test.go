package gateway_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// BenchmarkGateway measures what the gateway and its client add to a NATS
// request: actors that answer at once, beside an echo, at several askers.
func BenchmarkGateway(b *testing.B) {
	s := startServer(b)
	inProcess := nats.InProcessServer(s)
	server, asker := connect(b, s, inProcess), connect(b, s, inProcess)
	sub, err := server.QueueSubscribe("echo.>", "q", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = sub.Unsubscribe() })
	startGateway(b, gateway.Config{Conn: server, Actors: &fakeActors{submit: succeed}})
	body, err := store.MsgPack.Marshal(deposit{Cents: 5})
	if err != nil {
		b.Fatal(err)
	}
	sender := gateway.For(newClient(b, asker), accounts)
	for what, ask := range map[string]func() error{
		"echo":    func() error { _, err := asker.Request("echo.account.a.deposit", body, soon); return err },
		"gateway": func() error { _, err := asker.Request("bank.cmd.account.a.deposit", body, soon); return err },
		"client":  func() error { _, err := sender.Send(context.Background(), "a", deposit{Cents: 5}); return err },
	} {
		for _, askers := range []int{1, 64, 1024} {
			b.Run(fmt.Sprintf("%s/%d", what, askers), func(b *testing.B) { askMany(b, askers, ask) })
		}
	}
}

// BenchmarkRouting measures what the way to the owner costs: straight to it,
// over another gateway, and with the Go client, which takes the straight way by
// itself. Both gateways and all askers share one process.
func BenchmarkRouting(b *testing.B) {
	s, r := startServer(b), newRoster("b")
	inProcess := nats.InProcessServer(s)
	conn := func(c *gateway.Config) { c.Conn, c.Partitioned = connect(b, s, inProcess), true }
	startNode(b, s, r, "a", &fakeActors{submit: succeed}, conn)
	owner := startNode(b, s, r, "b", &fakeActors{submit: succeed}, conn)
	for p := range partitions {
		if err := owner.Serve(p); err != nil {
			b.Fatal(err)
		}
	}
	asker := connect(b, s, inProcess)
	body, err := store.MsgPack.Marshal(deposit{Cents: 5})
	if err != nil {
		b.Fatal(err)
	}
	sender := gateway.For(newClient(b, asker), accounts)
	ways := []struct {
		name string
		ask  func() error
	}{
		{"owner", func() error {
			_, err := asker.Request("bank.node.b.prt.0.cmd.account.a.deposit", body, soon)
			return err
		}},
		{"forwarded", func() error {
			_, err := asker.Request("bank.node.a.prt.0.cmd.account.a.deposit", body, soon)
			return err
		}},
		{"client", func() error { _, err := sender.Send(context.Background(), "a", deposit{Cents: 5}); return err }},
	}
	for _, way := range ways {
		for _, askers := range []int{1, 64, 1024} {
			b.Run(fmt.Sprintf("%s/%d", way.name, askers), func(b *testing.B) { askMany(b, askers, way.ask) })
		}
	}
	b.Run("ratio/64", func(b *testing.B) {
		compare(b, 64, func(i int) error { return ways[i].ask() })
	})
}

// compare measures the three ways in turns, so that whatever else the machine
// does strikes all of them, and reports the times of the second and third as
// multiples of the first's.
func compare(b *testing.B, askers int, ask func(way int) error) {
	const chunk = 2000
	var took [3]time.Duration
	for range max(b.N/chunk, 1) {
		for way := range took {
			began := time.Now()
			askTimes(b, chunk, askers, func() error { return ask(way) })
			took[way] += time.Since(began)
		}
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "forwarded/owner")
	b.ReportMetric(float64(took[2])/float64(took[0]), "client/owner")
}

// askMany asks b.N times, from so many goroutines.
func askMany(b *testing.B, askers int, ask func() error) {
	b.ReportAllocs()
	askTimes(b, b.N, askers, ask)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
}

func askTimes(b *testing.B, n, askers int, ask func() error) {
	var left atomic.Int64
	left.Store(int64(n))
	var wait sync.WaitGroup
	for range askers {
		wait.Go(func() {
			for left.Add(-1) >= 0 {
				if err := ask(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}
