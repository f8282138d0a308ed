package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/bank"
)

// quota is what the hostile tenant may do.
const quota = "principal:rate=50,burst=50,in-flight=16,streams=2000,watches=4,bytes=200000"

// tenants are two of them, at work.
type tenants struct {
	*arena
	alice   *gateway.Client
	inbox   *nats.Conn // alice's connection
	enemy   *enemy
	logged  []*text // of the hostile tenant's nodes
	secret  string
	streams []string // of the honest tenant, as JetStream names them

	stops []func() error
}

// start has both tenants at work. The hostile one has a quota if it is bounded.
func start(ctx context.Context, c tenancy, dir string, bounded bool) (x *tenants, err error) {
	x = &tenants{secret: "canary-" + nats.NewInbox()[len(nats.InboxPrefix):]}
	defer func() {
		if err != nil {
			err = errors.Join(err, x.stop())
		}
	}()
	if x.arena, err = c.raise(ctx, dir); err != nil {
		return x, err
	}
	x.stops = append(x.stops, func() error { x.lower(); return nil })
	if _, err := x.house(ctx, "a", c.honest); err != nil {
		return x, err
	}
	var limits []string
	if bounded {
		limits = []string{"--quota", quota}
	}
	if x.logged, err = x.house(ctx, "b", c.hostile, limits...); err != nil {
		return x, err
	}
	if x.inbox, err = x.enter("alice"); err != nil {
		return x, err
	}
	if x.alice, err = gateway.NewClient(gateway.ClientConfig{Conn: x.inbox, Namespace: c.honest, Principal: "alice", Timeout: soon}); err != nil {
		return x, err
	}
	x.enemy = &enemy{tenants: x}
	if x.enemy.conn, err = x.enter("mallory", nats.ErrorHandler(x.enemy.hearError)); err != nil {
		return x, err
	}
	return x, x.enemy.listen()
}

// house starts the nodes of a tenant. Where users have the permissions of a role, each
// role is a process of its own.
func (x *tenants) house(ctx context.Context, tenant, namespace string, more ...string) (logged []*text, err error) {
	common := []string{"--ns", namespace, "--durability", "none", "--partitions", "8"}
	runs := [][]string{{"node-" + tenant}}
	if x.guarded {
		env, who := x.as("pat-" + tenant)
		talk := newText()
		if code := call(ctx, env, newText(), talk, slices.Concat([]string{"provision"}, who, common)...); code != 0 {
			return nil, fmt.Errorf("provision: exit code %d: %s", code, talk)
		}
		runs = [][]string{{"node-" + tenant, "--roles", "actors,gateway"}, {"views-" + tenant, "--roles", "projectors"}}
	}
	for _, r := range runs {
		env, who := x.as(r[0])
		p, err := launch(env, slices.Concat([]string{"node", "--name", r[0], "--http", "127.0.0.1:0", fmt.Sprint("--require-identity=", x.guarded)}, r[1:], who, common, more)...)
		if err != nil {
			return nil, err
		}
		x.stops = append(x.stops, p.stop)
		logged = append(logged, p.logged)
	}
	return logged, nil
}

// enter connects until the tenants stop.
func (x *tenants) enter(user string, more ...nats.Option) (*nats.Conn, error) {
	nc, err := x.connect(user, more...)
	if err == nil {
		x.stops = append(x.stops, func() error { nc.Close(); return nil })
	}
	return nc, err
}

func (x *tenants) stop() error {
	var errs []error
	for _, stop := range slices.Backward(x.stops) {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}

// learn tells the enemy the names of the honest tenant's streams: suppose that it knows
// them.
func (x *tenants) learn() error {
	user := "node-a"
	if x.guarded {
		user = "pat-a"
	}
	nc, err := x.enter(user)
	if err != nil {
		return err
	}
	js, err := nc.JetStream()
	if err != nil {
		return err
	}
	for info := range js.Streams() {
		if strings.Contains(strings.ToLower(info.Config.Name), x.honest) {
			x.streams = append(x.streams, info.Config.Name)
		}
	}
	if len(x.streams) < 2 {
		return fmt.Errorf("the streams of %s: %v", x.honest, x.streams)
	}
	return nil
}

func account(id string) store.StreamID { return store.StreamID{Type: bank.Accounts.Type, ID: id} }

func deposit(id, cents string) gateway.Request {
	return gateway.Request{Stream: account(id), Name: "deposit", Codec: store.JSON, Body: []byte(`{"cents":` + cents + `}`)}
}

func opening(id, owner string) gateway.Request {
	return gateway.Request{Stream: account(id), Name: "open", Codec: store.JSON, Body: []byte(`{"owner":"` + owner + `"}`)}
}
