package hostile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/bank"
)

// tenancy is a way to keep two tenants on one server.
type tenancy struct {
	// config is that of the server; DIR is where it keeps its data.
	config string
	// honest and hostile are the namespaces.
	honest, hostile string
	// guarded says that the permissions leave the hostile client its own name only;
	// otherwise its account is its own, and it may do there whatever it likes.
	guarded bool
}

// One account for both, a namespace for each. A client may publish below its own
// name only, and hear its own inboxes only; a node may not speak to the other
// tenant.
var namespaces = tenancy{honest: "a", hostile: "b", guarded: true, config: `
listen: "127.0.0.1:-1"
jetstream { store_dir: "DIR" }
authorization { users: [
  { user: node-a, password: x, permissions: { publish: { allow: ">", deny: ["b.>", "_INBOX_mallory.>"] }, subscribe: { allow: ">", deny: ["b.>"] } } }
  { user: alice, password: x, permissions: { publish: ["a.as.alice.cmd.>", "a.as.alice.prt.>", "a.as.alice.ctl.>", "a.as.alice.qry.>"], subscribe: "_INBOX_alice.>" } }
  { user: node-b, password: x, permissions: { publish: { allow: ">", deny: ["a.>", "_INBOX_alice.>"] }, subscribe: { allow: ">", deny: ["a.>"] } } }
  { user: mallory, password: x, permissions: { publish: "b.as.mallory.>", subscribe: "_INBOX_mallory.>" } }
] }`}

// An account for each, with the same namespace in both: nothing that one publishes
// is a subject of the other's.
var accounts = tenancy{honest: "bank", hostile: "bank", config: `
listen: "127.0.0.1:-1"
jetstream { store_dir: "DIR" }
accounts {
  A { jetstream: enabled, users: [ { user: node-a, password: x }, { user: alice, password: x } ] }
  B { jetstream: enabled, users: [ { user: node-b, password: x }, { user: mallory, password: x } ] }
}`}

// startServer runs a server of two tenants.
func (c tenancy) startServer(t *testing.T) *server.Server {
	t.Helper()
	name := filepath.Join(t.TempDir(), "server.conf")
	if err := os.WriteFile(name, []byte(strings.ReplaceAll(c.config, "DIR", t.TempDir())), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(name)
	if err != nil {
		t.Fatal(err)
	}
	options.NoLog, options.NoSigs = true, true
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(soon) {
		t.Fatal("the server does not start")
	}
	return s
}

// tenants are two of them, at work.
type tenants struct {
	tenancy
	url     string
	alice   *gateway.Client
	inbox   *nats.Conn // alice's connection
	enemy   *enemy
	logged  *text // of the hostile tenant's node
	secret  string
	streams []string // of the honest tenant, as JetStream names them
}

func startTenants(t *testing.T, c tenancy) *tenants {
	t.Helper()
	s := c.startServer(t)
	node := func(user, namespace string, more ...string) *text {
		_, logged := startNode(t, map[string]string{"NATS_USER": user, "NATS_PASSWORD": "x"}, append([]string{
			"node", "-s", s.ClientURL(), "--name", user, "--ns", namespace, "--durability", "none", "--partitions", "8", "--http", "127.0.0.1:0",
			"--require-identity=" + fmt.Sprint(c.guarded),
		}, more...)...)
		return logged
	}
	node("node-a", c.honest)
	x := &tenants{tenancy: c, url: s.ClientURL(), secret: "canary-" + nats.NewInbox()[len(nats.InboxPrefix):]}
	x.logged = node("node-b", c.hostile, "--quota", "principal:rate=50,burst=50,in-flight=16,streams=1000,watches=4")
	x.inbox = x.connect(t, "alice")
	var err error
	if x.alice, err = gateway.NewClient(gateway.ClientConfig{Conn: x.inbox, Namespace: c.honest, Principal: "alice", Timeout: soon}); err != nil {
		t.Fatal(err)
	}
	x.enemy = &enemy{tenants: x}
	x.enemy.conn = x.connect(t, "mallory", nats.ErrorHandler(x.enemy.hearError))
	x.enemy.listen(t)
	return x
}

func (x *tenants) connect(t *testing.T, user string, more ...nats.Option) *nats.Conn {
	t.Helper()
	return connect(t, x.url, append([]nats.Option{nats.UserInfo(user, "x"), nats.CustomInboxPrefix("_INBOX_" + user)}, more...)...)
}

// enemy guesses, and keeps all that it hears.
type enemy struct {
	tenants *tenants
	conn    *nats.Conn
	inbox   string
	refused atomic.Int64 // what the server did not permit

	mu    sync.Mutex
	heard []*nats.Msg
}

func (e *enemy) hearError(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		e.refused.Add(1)
	}
}

func (e *enemy) hear(m *nats.Msg) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, m)
}

func (e *enemy) listen(t *testing.T) {
	t.Helper()
	e.inbox = "_INBOX_mallory.all"
	if _, err := e.conn.Subscribe(e.inbox+".>", e.hear); err != nil {
		t.Fatal(err)
	}
}

// eavesdrop listens wherever something of the other could come by; it returns on
// how many subjects.
func (e *enemy) eavesdrop(t *testing.T) int {
	t.Helper()
	ns := e.tenants.honest
	subjects := []string{
		">", "*", "*.>", ns + ".>", ns + ".*.>", ns + ".cmd.>", ns + ".evt.>", ns + ".as.alice.>", ns + ".prt.*.cmd.>", ns + ".node.>", ns + ".ctl.>", ns + ".qry.>",
		"_INBOX.>", "_INBOX.*", "_INBOX_alice.>", "*.as.alice.>", "$JS.>", "$JS.API.>", "$JS.EVENT.ADVISORY.>", "$KV.>", "$SYS.>", "$SRV.>", "_R_.>",
	}
	for _, subject := range subjects {
		if _, err := e.conn.Subscribe(subject, e.hear); err != nil {
			t.Fatal(err)
		}
	}
	if !e.tenants.guarded {
		return len(subjects) // in an account of its own it would rob itself
	}
	for _, queue := range []string{"q", "owner"} { // to be given a share of what is meant for nodes
		if _, err := e.conn.QueueSubscribe(ns+".cmd.>", queue, e.hear); err != nil {
			t.Fatal(err)
		}
		if _, err := e.conn.QueueSubscribe(ns+".as.*.prt.*.>", queue, e.hear); err != nil {
			t.Fatal(err)
		}
	}
	return len(subjects) + 4
}

// publish sends to a subject, with a place for the answer.
func (e *enemy) publish(t *testing.T, subject, reply, body string, headers ...string) {
	t.Helper()
	m := nats.NewMsg(subject)
	m.Reply, m.Data = reply, []byte(body)
	for i := 0; i+1 < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	if err := e.conn.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
}

// knock tries doors that are not its own; it returns how many.
func (e *enemy) knock(t *testing.T, id string) int {
	t.Helper()
	ns, own := e.tenants.honest, e.tenants.hostile
	body := `{"cents":1000000}`
	about := `{"aggregate":"account","id":"` + id + `","view":"balances"}`
	n := 0
	try := func(subject, body string, headers ...string) {
		n++
		e.publish(t, subject, fmt.Sprintf("%s.knock.%d", e.inbox, n), body, headers...)
	}
	if e.tenants.guarded {
		try(ns+".cmd.account."+id+".deposit", body)
		try(ns+".as.alice.cmd.account."+id+".deposit", body)
		try(ns+".as.mallory.cmd.account."+id+".deposit", body)
		try(ns+".node.node-a.ctl.info", "")
		try(ns+".node.node-a.prt.0.cmd.account."+id+".deposit", body, "Annals-Principal", "alice", "Annals-Hops", "1")
		for p := range 8 {
			try(fmt.Sprintf("%s.prt.%d.cmd.account.%s.deposit", ns, p, id), body)
		}
		for _, verb := range []string{"info", "aggregate.get", "aggregate.history", "projection.ls", "projection.pause", "dlq.ls", "wait"} {
			try(ns+".ctl."+verb, about)
		}
		try(ns+".qry.balances."+id, "")
		try(ns+".qry.balances", "")
		try(ns+".watch.balances", "")
		try(ns+".evt.0.account."+id, "forged")
		try(own+".as.root.cmd.account.x.open", `{"owner":"m"}`)
		try(own+".cmd.account.x.open", `{"owner":"m"}`)
		try(own+".node.node-b.prt.0.cmd.account.x.open", `{"owner":"m"}`, "Annals-Principal", "root", "Annals-Hops", "1")
		try("*.as.mallory.cmd.account.x.open", "")
		try("$SRV.INFO", "")
		try("$SYS.REQ.SERVER.PING", "")
	}
	for _, verb := range []string{"INFO", "STREAM.NAMES", "STREAM.LIST", "CONSUMER.NAMES.X", "STREAM.TEMPLATE.NAMES"} {
		try("$JS.API."+verb, "")
	}
	for _, stream := range e.tenants.streams {
		try("$JS.API.STREAM.INFO."+stream, "")
		try("$JS.API.STREAM.MSG.GET."+stream, `{"seq":1}`)
		try("$JS.API.DIRECT.GET."+stream, `{"seq":1}`)
		if e.tenants.guarded {
			try("$JS.API.STREAM.DELETE."+stream, "")
			try("$JS.API.STREAM.PURGE."+stream, "")
			try("$JS.API.CONSUMER.CREATE."+stream, `{"stream_name":"`+stream+`","config":{"deliver_subject":"`+e.inbox+`.stolen","ack_policy":"none"}}`)
		}
	}
	return n
}

// ask asks by the enemy's own door, and returns the answer.
func (e *enemy) ask(t *testing.T, path, body string, headers ...string) *nats.Msg {
	t.Helper()
	m := nats.NewMsg(e.tenants.hostile + ".as.mallory." + path)
	m.Data = []byte(body)
	for i := 0; i+1 < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	answer, err := e.conn.RequestMsg(m, soon)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	e.hear(answer)
	return answer
}

// everything is the text of all that the enemy has heard.
func (e *enemy) everything() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var b strings.Builder
	for _, m := range e.heard {
		fmt.Fprintf(&b, "%s %v %s\n", m.Subject, m.Header, m.Data)
	}
	return b.String()
}

func TestATenantSeesNothingOfAnother(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]tenancy{"a namespace for each": namespaces, "an account for each": accounts} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := startTenants(t, c)
			x.streams = streamsOf(t, x.connect(t, "node-a"), c.honest)
			seesNothing(t, x)
		})
	}
}

// streamsOf are the names of a namespace's streams: suppose that the enemy knows
// them.
func streamsOf(t *testing.T, nc *nats.Conn, namespace string) (names []string) {
	t.Helper()
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	for name := range js.StreamNames() {
		if strings.Contains(strings.ToLower(name), namespace) {
			names = append(names, name)
		}
	}
	if len(names) < 2 {
		t.Fatalf("the streams of %s: %v", namespace, names)
	}
	return names
}

func seesNothing(t *testing.T, x *tenants) {
	const id = "alices" // which the enemy knows, as it does the id of the command
	e := x.enemy
	alices, err := x.inbox.SubscribeSync("_INBOX_alice.guessed.>")
	if err != nil {
		t.Fatal(err)
	}
	listening := e.eavesdrop(t)
	for _, account := range []string{id, x.secret} {
		first := opening(account, x.secret)
		first.ID, first.CorrelationID = "alices-command", x.secret
		if _, err := x.alice.Send(t.Context(), first); err != nil {
			t.Fatal(err)
		}
	}
	deposits := 1
	for i := range 20 {
		if i%5 == 0 {
			knocks := e.knock(t, id)
			if x.guarded {
				listening += knocks
			}
		}
		if _, err := x.alice.Send(t.Context(), deposit(id, "1")); err != nil {
			t.Fatal(err)
		}
		deposits++
	}
	// By its own door, with all that it could have guessed.
	about := `{"aggregate":"account","id":"` + id + `"}`
	for path, want := range map[string]string{
		"cmd.account." + id + ".deposit": "REJECTED", "prt.0.get.account." + id: "NOT_FOUND", "qry.balances." + id: "NOT_FOUND",
		"ctl.aggregate.get": "NOT_FOUND", "ctl.aggregate.history": "NOT_FOUND", "ctl.aggregate.changes": "NOT_FOUND",
	} {
		body := about
		if strings.HasPrefix(path, "cmd") {
			body = `{"cents":1}`
		} else if !strings.HasPrefix(path, "ctl") {
			body = ""
		}
		if got := e.ask(t, path, body).Header.Get(gateway.HeaderError); got != want {
			t.Errorf("%s: %q, want %s", path, got, want)
		}
	}
	// The same id, the same command id and the same bytes are another command here.
	m := e.ask(t, "cmd.account.mallory.open", `{"owner":"m"}`, "Annals-Command-Id", "alices-command")
	if !strings.Contains(string(m.Data), `"duplicate":false`) {
		t.Errorf("a command id of the other's: %s", m.Data)
	}
	// Answers that were to go to the other.
	for i := range 5 {
		e.publish(t, x.hostile+".as.mallory.ctl.info", fmt.Sprintf("_INBOX_alice.guessed.%d", i), "")
		e.publish(t, x.hostile+".as.mallory.cmd.account.y.open", fmt.Sprintf("_INBOX_alice.guessed.c%d", i), `{"owner":"m"}`)
	}
	e.ask(t, "ctl.info", "") // by now the node has seen them
	if x.guarded {
		eventually(t, "everything that is not its own is refused", func() bool { return e.refused.Load() >= int64(listening) })
	}
	for line := range strings.Lines(e.everything() + x.logged.String()) {
		if strings.Contains(line, x.secret) {
			t.Errorf("the enemy, or its node, heard: %.2000s", line)
		}
	}
	if got, err := alices.NextMsg(50 * time.Millisecond); err == nil {
		t.Errorf("alice got %s %s", got.Subject, got.Data)
	}
	unharmed(t, x, id, deposits)
	t.Logf("%d subjects and doors were refused by the server, %d messages heard", e.refused.Load(), len(e.heard))
}

// unharmed checks that the honest tenant's account is as its owner made it.
func unharmed(t *testing.T, x *tenants, id string, version int) {
	t.Helper()
	n := 0
	for e, err := range x.alice.History(t.Context(), store.StreamID{Type: bank.Accounts.Type, ID: id}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; e.Command.Principal != "alice" {
			t.Errorf("event %d was caused by %q", e.Version, e.Command.Principal)
		}
	}
	s, err := x.alice.State(t.Context(), store.StreamID{Type: bank.Accounts.Type, ID: id}, actor.At{})
	if err != nil || n != version || s.Version != uint64(version) || string(s.State) != fmt.Sprintf(`{"owner":%q,"cents":%d}`, x.secret, version-1) {
		t.Errorf("%d events, %+v %s, %v; want version %d", n, s, s.State, err, version)
	}
}

// A tenant who floods what is its own costs another a bounded time.
func TestATenantIsNotSlowedDownByAnother(t *testing.T) {
	t.Parallel()
	x := startTenants(t, namespaces)
	if _, err := x.alice.Send(t.Context(), opening("a", "Ann")); err != nil {
		t.Fatal(err)
	}
	const commands = 150
	alone := x.latencies(t, commands)
	stop := x.enemy.flood(t)
	beside := x.latencies(t, commands)
	sent, over := stop()
	at := func(all []time.Duration, percent int) time.Duration { return all[len(all)*percent/100] }
	t.Logf("alone: median %v, 95th %v; beside %d requests, of which %d were over quota: median %v, 95th %v",
		at(alone, 50), at(alone, 95), sent, over, at(beside, 50), at(beside, 95))
	if most := max(10*at(alone, 50), 50*time.Millisecond); at(beside, 50) > most {
		t.Errorf("the median went from %v to %v, want at most %v", at(alone, 50), at(beside, 50), most)
	}
	if most := max(20*at(alone, 95), 500*time.Millisecond); at(beside, 95) > most {
		t.Errorf("the 95th percentile went from %v to %v, want at most %v", at(alone, 95), at(beside, 95), most)
	}
	if sent < 300 || over < sent/2 {
		t.Errorf("%d requests of the enemy, %d over its quota: that is no flood", sent, over)
	}
}

// latencies sends commands one after the other, at least n and for a second, and
// returns how long each took, in order.
func (x *tenants) latencies(t *testing.T, n int) []time.Duration {
	t.Helper()
	var all []time.Duration
	for first := time.Now(); len(all) < n || time.Since(first) < time.Second; {
		began := time.Now()
		if _, err := x.alice.Send(t.Context(), deposit("a", "1")); err != nil {
			t.Fatal(err)
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all
}

// flood asks for whatever it may, and for more than its quota, as fast as answers
// come; stop ends it and tells how often.
func (e *enemy) flood(t *testing.T) (stop func() (sent, over int64)) {
	t.Helper()
	const askers = 16
	var asked, refused atomic.Int64
	ended := make(chan struct{})
	var all sync.WaitGroup
	for i := range askers {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-ended:
					return
				default:
				}
				subject, body := fmt.Sprintf("b.as.mallory.cmd.account.m%d-%d.open", i, n), `{"owner":"m"}`
				if n%20 == 19 {
					subject, body = "b.as.mallory.qry.balances", ""
				}
				m, err := e.conn.Request(subject, []byte(body), soon)
				if err != nil {
					t.Errorf("%s: %v", subject, err)
					return
				}
				asked.Add(1)
				if m.Header.Get(gateway.HeaderError) == string(gateway.CodeOverQuota) {
					refused.Add(1)
				}
			}
		})
	}
	eventually(t, "the flood has begun", func() bool { return refused.Load() > 100 })
	return func() (int64, int64) {
		close(ended)
		all.Wait()
		return asked.Load(), refused.Load()
	}
}
