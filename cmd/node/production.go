package node

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node/servers"
	"github.com/annals-go/annals/cmd/node/web"
	"github.com/annals-go/annals/store/jetstream"
)

// production is one node on servers of the user's own.
type production struct {
	session *Session
	config  nodeConfig
	web     *web.Server
	member  *member
	copies  int // of the namespace
	// version tells that of the connected server; tests replace it.
	version func(*nats.Conn) string
}

func newProduction(s *Session, config nodeConfig) *production {
	metrics := newMetrics(s.app)
	p := &production{
		session: s, config: config,
		copies: config.replicas, version: (*nats.Conn).ConnectedServerVersion,
	}
	p.member = &member{
		session: s, logger: s.Logger(), node: config.node, metrics: metrics,
		dial: p.dial, check: p.check,
		log: jetstream.Config{
			Partitions: config.partitions, LogStreams: config.logStreams, Replicas: config.replicas, InMemory: config.promise == servers.None,
			KeepCommands: config.keep,
		},
		store: config.views, wrapper: config.wrapper, asked: config.asked,
	}
	p.web = newWeb(s, config.http, config.asked, metrics, p.member.probe)
	return p
}

func (p *production) process() *process {
	parts := p.member.parts()
	if p.config.api {
		door := api{session: p.session, web: p.web, asked: p.config.asked, dial: p.dial}
		parts = append(parts, door.part())
	}
	return &process{session: p.session, web: p.web, parts: parts, announce: p.announce, handsOver: true}
}

// dial finds out within seconds that a server is gone without a word: until
// then nothing that this node holds is served.
func (p *production) dial(ctx context.Context, opts ...nats.Option) (*nats.Conn, error) {
	opts = append(opts,
		nats.PingInterval(2*time.Second), nats.MaxPingsOutstanding(2),
		nats.ReconnectWait(100*time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 500*time.Millisecond))
	return connect(ctx, p.session, opts...)
}

// check looks at the servers before anything is created on them, and takes over
// how the namespace was created if it is there.
func (p *production) check(ctx context.Context, conn *nats.Conn) error {
	client, err := servers.MonitorClient(p.session.flags.tlsCA, p.session.Timeout())
	if err != nil {
		return err
	}
	r := servers.Requirements{
		Conn: conn, Namespace: p.session.Namespace(), Version: p.version(conn),
		Promise: p.config.promise, Copies: p.config.replicas, Monitor: p.config.monitor, Client: client,
		Logger: p.session.Logger(),
	}
	has, err := r.Check(ctx)
	if has != nil {
		log := &p.member.log
		log.Partitions, log.LogStreams = cmp.Or(log.Partitions, has.Partitions), cmp.Or(log.LogStreams, has.LogStreams)
		log.Codec = has.Codec
		p.copies = has.Replicas
	}
	p.member.absent = has == nil && err == nil
	return err
}

// nodeInfo is what node tells programs when it is up.
type nodeInfo struct {
	Node       string   `json:"node"`
	Ready      bool     `json:"ready"`
	HTTP       string   `json:"http"`
	Probes     string   `json:"probes,omitempty"` // if they are elsewhere
	NATS       string   `json:"nats"`
	Namespace  string   `json:"namespace"`
	Roles      []string `json:"roles"`
	Partitions int      `json:"partitions"`
	Replicas   int      `json:"replicas"`
	Durability string   `json:"durability"`
	Loss       string   `json:"loss"`
	Aggregates []string `json:"aggregates"`
	Views      []string `json:"views"`
	ReadyMS    int64    `json:"ready_ms"`
}

func (p *production) info(took time.Duration) nodeInfo {
	app := p.session.app
	return nodeInfo{
		Node: p.config.node.Name, Ready: true, HTTP: p.web.URL(), Probes: p.web.ProbesURL(), NATS: p.member.conn.ConnectedUrlRedacted(),
		Namespace: p.session.Namespace(), Roles: roleNames(p.config.node.Roles),
		Partitions: p.member.events.Partitions(), Replicas: p.copies,
		Durability: string(p.config.promise), Loss: p.config.promise.Loss(p.copies),
		Aggregates: app.typeNames(), Views: app.viewNames(), ReadyMS: took.Milliseconds(),
	}
}

// announce prints what this node is, and what the deployment can lose.
func (p *production) announce(took time.Duration) error {
	info, s := p.info(took), p.session
	if s.JSON() {
		return s.Print(info)
	}
	var b banner
	b.title(s, "node "+info.Node+": "+strings.Join(info.Roles, ", "))
	b.head = append(b.head,
		row("NATS", info.NATS, ""),
		row("HTTP", info.HTTP+web.Paths(p.config.api, info.Probes == ""), gaveWay(p.config.http, info.HTTP)))
	b.probes(info.Probes)
	b.head = append(b.head,
		row("Log", fmt.Sprintf("%s, %d partitions", info.Namespace, info.Partitions), ""),
		row("Durability", info.Durability+": "+info.Loss, ""))
	if p.config.views.kind != viewsKV {
		b.head = append(b.head, row("View store", p.config.views.String(), ""))
	}
	b.application(s.app)
	b.tail = append(b.tail, row("Ready", fmt.Sprintf("in %d ms", info.ReadyMS), "see: "+s.app.Name+" cluster nodes"))
	return b.print(s.Out())
}
