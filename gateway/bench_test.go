package gateway_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

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

// askMany asks b.N times, from so many goroutines.
func askMany(b *testing.B, askers int, ask func() error) {
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
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
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
}
