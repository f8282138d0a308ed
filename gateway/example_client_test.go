package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// A node and a client of it in one process: the client sends typed commands,
// and tells the domain's no from every other error.
func ExampleFor() {
	err := withBank(func(nc *nats.Conn) error {
		client, err := gateway.NewClient(gateway.ClientConfig{Conn: nc, Namespace: "bank"})
		if err != nil {
			return err
		}
		ctx := context.Background()
		sender := gateway.For(client, accounts)
		if _, err := sender.Send(ctx, "a-1", open{Owner: "Ann"}); err != nil {
			return err
		}
		// The same id again is the same command.
		for range 2 {
			result, err := sender.SendWith(ctx, "a-1", deposit{Cents: 500}, gateway.Options{ID: "salary-2026-06"})
			if err != nil {
				return err
			}
			fmt.Println("version", result.Version, "duplicate", result.Duplicate)
		}
		_, err = sender.Send(ctx, "a-1", withdraw{Cents: 700})
		switch {
		case errors.Is(err, actor.ErrRejected):
			fmt.Println("rejected:", err)
		case errors.Is(err, store.ErrUnknown):
			fmt.Println("it may have happened: send it again under the same id")
		}
		state, err := client.State(ctx, store.StreamID{Type: "account", ID: "a-1"}, actor.At{})
		if err != nil {
			return err
		}
		fmt.Printf("version %d: %s\n", state.Version, state.State)
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// version 2 duplicate false
	// version 2 duplicate true
	// rejected: insufficient funds
	// version 2: {"owner":"Ann","cents":500}
}

// Any NATS client in any language is a client.
func Example_plainNATS() {
	err := withBank(func(nc *nats.Conn) error {
		answer, err := nc.Request("bank.cmd.account.a-1.open", []byte(`{"owner":"Ann"}`), nats.DefaultTimeout)
		if err != nil {
			return err
		}
		fmt.Println(string(answer.Data))
		answer, err = nc.Request("bank.cmd.account.a-1.withdraw", []byte(`{"cents":700}`), nats.DefaultTimeout)
		if err != nil {
			return err
		}
		fmt.Println(answer.Header.Get("Nats-Service-Error-Code"), answer.Header.Get("Nats-Service-Error"))
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"type":"io.annals.api.v1.command_response","aggregate":"account","id":"a-1","version":1,"position":1024,"events":["opened"],"duplicate":false}
	// 422 insufficient funds
}

// withBank runs a node of the bank, on a log in memory and a NATS server of
// its own, while use runs.
func withBank(use func(*nats.Conn) error) error {
	ns, err := server.NewServer(&server.Options{DontListen: true, NoLog: true, NoSigs: true})
	if err != nil {
		return err
	}
	ns.Start()
	defer ns.WaitForShutdown()
	defer ns.Shutdown()
	nc, err := nats.Connect("", nats.InProcessServer(ns))
	if err != nil {
		return err
	}
	defer nc.Close()
	log := store.NewMemory(store.MemoryConfig{})
	system, err := actor.NewSystem(actor.Config{Log: log, Aggregates: []actor.Definition{accounts}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	g, err := gateway.New(gateway.Config{Conn: nc, Namespace: "bank", Actors: system})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Run(ctx) }()
	<-g.Ready()
	err = use(nc)
	cancel()
	return errors.Join(err, <-served)
}
