package jetstream

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

func TestOpenCreates(t *testing.T) {
	t.Parallel()
	for _, servers := range []*fixture{&single, &cluster} {
		l := open(t, servers, Config{Partitions: 64, Codec: store.JSON})
		if l.Partitions() != 64 || l.Codec() != store.JSON {
			t.Errorf("partitions %d, codec %s", l.Partitions(), l.Codec().Name())
		}
		again := open(t, servers, Config{Namespace: l.cfg.Namespace, Partitions: 64, Codec: store.JSON})
		head := appendTo(t, l, stream("1"), store.Head{}, 1)
		if got, err := readAll(again, stream("1"), store.Head{}); err != nil || len(got) != 1 || got[0].Head() != head {
			t.Errorf("the namespace opened again has %v, %v", got, err)
		}
	}
}

// TestOpenVerifies has somebody create the stream by hand, or edit it, in every
// way that would break a promise of the log.
func TestOpenVerifies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		setting string
		spoil   func(c *natsjs.StreamConfig)
	}{
		{"metadata annals.kind", func(c *natsjs.StreamConfig) { delete(c.Metadata, metaKind) }},
		{"metadata annals.format", func(c *natsjs.StreamConfig) { c.Metadata[metaFormat] = "2" }},
		{"metadata annals.partitions", func(c *natsjs.StreamConfig) { c.Metadata[metaPartitions] = "64" }},
		{"metadata annals.codec", func(c *natsjs.StreamConfig) { c.Metadata[metaCodec] = "json" }},
		{"metadata annals.keep_commands", func(c *natsjs.StreamConfig) { c.Metadata[metaKeep] = "yes" }},
		{"subjects", func(c *natsjs.StreamConfig) { c.Subjects = append(c.Subjects, c.Name+".more") }},
		{"retention", func(c *natsjs.StreamConfig) { c.Retention = natsjs.InterestPolicy }},
		{"discard", func(c *natsjs.StreamConfig) { c.Discard = natsjs.DiscardOld }},
		{"max_age", func(c *natsjs.StreamConfig) { c.MaxAge = time.Hour }},
		{"deny_delete", func(c *natsjs.StreamConfig) { c.DenyDelete = false }},
		{"allow_direct", func(c *natsjs.StreamConfig) { c.AllowDirect = false }},
		{"allow_rollup_hdrs", func(c *natsjs.StreamConfig) { c.AllowRollup = true }},
		{"allow_msg_ttl", func(c *natsjs.StreamConfig) { c.AllowMsgTTL = true }},
		{"allow_msg_schedules", func(c *natsjs.StreamConfig) { c.AllowMsgSchedules, c.Discard = true, natsjs.DiscardOld }},
		{"no_ack", func(c *natsjs.StreamConfig) { c.NoAck = true }},
		{"subject_transform", func(c *natsjs.StreamConfig) {
			c.SubjectTransform = &natsjs.SubjectTransformConfig{Source: c.Subjects[0], Destination: c.Name + ".{{wildcard(1)}}"}
		}},
		{"persist_mode async", func(c *natsjs.StreamConfig) { c.PersistMode = natsjs.AsyncPersistMode }},
		{"max_msgs_per_subject", func(c *natsjs.StreamConfig) { c.MaxMsgsPerSubject = 100 }},
		{"max_msg_size", func(c *natsjs.StreamConfig) { c.MaxMsgSize = 1 << 10 }},
		{"storage", func(c *natsjs.StreamConfig) { c.Storage = natsjs.MemoryStorage }},
	} {
		t.Run(c.setting, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, single.use(t)[0])
			cfg := Config{Conn: conn, Namespace: namespace(t)}.withDefaults()
			n := newNames(cfg.Namespace, cfg.Partitions, 1)
			spoiled := orderConfig(cfg, &n)
			c.spoil(&spoiled)
			js, err := natsjs.New(conn)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := js.CreateStream(context.Background(), spoiled); err != nil {
				t.Fatal(err)
			}
			_, err = Open(context.Background(), cfg)
			wantDifference(t, err, n.order.name, c.setting)
		})
	}
}

func wantDifference(t *testing.T, err error, stream, setting string) {
	t.Helper()
	var found *SettingsError
	if !errors.As(err, &found) || !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("open: %v, want a SettingsError", err)
	}
	i := slices.IndexFunc(found.Differences, func(d Difference) bool { return d.Setting == setting })
	if found.Stream != stream || i < 0 {
		t.Fatalf("open: %+v, want %s of %s", *found, setting, stream)
	}
	if d := found.Differences[i]; d.Has == d.Want || !strings.Contains(err.Error(), setting+" is "+d.Has+", want "+d.Want) {
		t.Fatalf("the error does not help: %v", err)
	}
}

func TestOpenRefusesMismatch(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{Partitions: 16})
	for _, c := range []struct {
		setting string
		cfg     Config
	}{
		{"metadata annals.partitions", Config{Partitions: 17}},
		{"metadata annals.partitions", Config{}},
		{"metadata annals.codec", Config{Partitions: 16, Codec: store.JSON}},
		{"num_replicas", Config{Partitions: 16, Replicas: 3}},
	} {
		c.cfg.Conn, c.cfg.Namespace = l.cfg.Conn, l.cfg.Namespace
		_, err := Open(context.Background(), c.cfg)
		wantDifference(t, err, l.names.order.name, c.setting)
	}
}

// TestOpenAllows shows what is the operator's to decide.
func TestOpenAllows(t *testing.T) {
	t.Parallel()
	l := open(t, &cluster, Config{})
	js := mustJetStream(t, l)
	info, err := js.Stream(context.Background(), l.names.order.name)
	if err != nil {
		t.Fatal(err)
	}
	edited := info.CachedInfo().Config
	edited.MaxBytes, edited.DenyPurge, edited.Description, edited.MaxConsumers = 1<<30, true, "ours", -1
	edited.Metadata["team"] = "lending"
	if _, err := js.UpdateStream(context.Background(), edited); err != nil {
		t.Fatal(err)
	}
	// A configuration that asks for less than there is.
	open(t, &cluster, Config{Namespace: l.cfg.Namespace, Replicas: 1, InMemory: true})
}

func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	for _, servers := range []*fixture{&single, &cluster} {
		ns := namespace(t)
		var wg sync.WaitGroup
		for range 6 {
			cfg := Config{Conn: connect(t, servers.use(t)[0]), Namespace: ns, Replicas: len(servers.use(t))}
			wg.Go(func() {
				l, err := Open(context.Background(), cfg)
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	conn := connect(t, single.use(t)[0])
	for name, cfg := range map[string]Config{
		"no connection":        {Namespace: "ns"},
		"no namespace":         {Conn: conn},
		"namespace with dot":   {Conn: conn, Namespace: "a.b"},
		"negative partitions":  {Conn: conn, Namespace: "ns", Partitions: -1},
		"too many partitions":  {Conn: conn, Namespace: "ns", Partitions: maxPartitions + 1},
		"no log streams":       {Conn: conn, Namespace: "ns", LogStreams: -1},
		"too many log streams": {Conn: conn, Namespace: "ns", LogStreams: maxLogStreams + 1},
		"a log stream without": {Conn: conn, Namespace: "ns", LogStreams: 9, Partitions: 8},
		"too many replicas":    {Conn: conn, Namespace: "ns", Replicas: 6},
	} {
		if _, err := Open(context.Background(), cfg); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, store.ErrInvalid)
		}
	}
}

func TestOpenWithoutServer(t *testing.T) {
	t.Parallel()
	conn := connect(t, single.use(t)[0])
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, Config{Conn: conn, Namespace: namespace(t)}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("open without time: %v", err)
	}
	conn.Close()
	if _, err := Open(context.Background(), Config{Conn: conn, Namespace: namespace(t)}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("open on a closed connection: %v", err)
	}
}

func TestExisting(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{Partitions: 64, Codec: store.JSON, InMemory: true})
	c, err := Existing(t.Context(), l.cfg.Conn, l.cfg.Namespace)
	if err != nil || c.Partitions != 64 || c.Codec != store.JSON || !c.InMemory || c.Replicas != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	again, err := Open(t.Context(), c)
	if err != nil {
		t.Fatalf("open what exists: %v", err)
	}
	_ = again.Close()
	if _, err := Existing(t.Context(), l.cfg.Conn, l.cfg.Namespace+"x"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a namespace that is not there: %v", err)
	}
	if _, err := Existing(t.Context(), l.cfg.Conn, "a.b"); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("no namespace at all: %v", err)
	}
}

// Keeping commands is a setting of the namespace that can be switched on later:
// whoever opens it afterwards keeps them, whatever its own configuration says.
func TestKeepCommands(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{"one log stream": {}, "several": {LogStreams: 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := open(t, &single, c)
			c.Namespace = before.cfg.Namespace
			head := appendTo(t, before, stream("1"), store.Head{}, 1)
			with := c
			with.KeepCommands = true
			switched, after := open(t, &single, with), open(t, &single, c)
			if before.KeepsCommands() || !switched.KeepsCommands() || !after.KeepsCommands() {
				t.Errorf("kept: %v before, %v when switched on, %v after", before.KeepsCommands(), switched.KeepsCommands(), after.KeepsCommands())
			}
			appendTo(t, after, stream("1"), head, 1)
			has, err := Existing(t.Context(), before.cfg.Conn, c.Namespace)
			if err != nil || !has.KeepCommands {
				t.Errorf("what exists: %+v, %v", has, err)
			}
			for range 2 { // whoever says so again changes nothing
				again := open(t, &single, with)
				if got, err := readAll(again, stream("1"), store.Head{}); err != nil || len(got) != 2 {
					t.Errorf("the namespace has %v, %v", got, err)
				}
			}
		})
	}
}
