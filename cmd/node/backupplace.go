package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/segment"
)

// backupPlace says what the argument WHERE of the backup commands may be.
const backupPlace = `WHERE is a directory, or nats:BUCKET: an object store of the NATS server, which
should not be the one that is backed up.`

// vaultIn opens what WHERE names.
func vaultIn(ctx context.Context, conn *nats.Conn, where string, replicas int) (segment.Vault, error) {
	bucket, is := strings.CutPrefix(where, "nats:")
	switch {
	case !is:
		return segment.Dir(where)
	case bucket == "":
		return nil, Usage("%q: name the object store, as in nats:BACKUPS", where)
	}
	return jetstream.OpenVault(ctx, conn, bucket, max(replicas, 1))
}

// site is the server with the namespace that is backed up or restored.
type site struct {
	conn    *nats.Conn
	barrier func(context.Context) error
	server  *embedded.Server // nil: one that runs elsewhere
}

// openSite connects to the server, or runs one on a directory that nobody else
// uses.
func (s *Session) openSite(ctx context.Context, data string) (*site, error) {
	if data == "" {
		conn, err := s.Connect(ctx)
		return &site{conn: conn}, err
	}
	server, err := embedded.Start(embedded.Config{Dir: data, Port: embedded.NoListener, Logger: s.logger})
	if err != nil {
		return nil, fmt.Errorf("start a server on %s: %w", data, err)
	}
	conn, err := server.Connect(nats.MaxReconnects(-1))
	if err != nil {
		server.Shutdown()
		return nil, err
	}
	return &site{conn: conn, barrier: server.Barrier(), server: server}, nil
}

func (p *site) close() {
	if p.server != nil {
		p.conn.Close()
		p.server.Shutdown()
	}
}

// openLog opens the log of a namespace that is there.
func (s *Session) openLog(ctx context.Context, p *site) (*jetstream.Log, jetstream.Config, error) {
	config, err := request(ctx, s, func(ctx context.Context) (jetstream.Config, error) {
		return jetstream.Existing(ctx, p.conn, s.Namespace())
	})
	if errors.Is(err, store.ErrNotFound) {
		err = s.noNamespace(ctx, p.conn, err)
	}
	if err != nil {
		return nil, config, err
	}
	config.Logger, config.Barrier = s.Logger(), p.barrier
	log, err := jetstream.Open(ctx, config)
	return log, config, err
}

// models is the table of a backup that says which read models there are: the
// definitions of the views as they are served, not what the views contain.
type models struct {
	conn      *nats.Conn
	namespace string
	registry  *kv.Registry
}

func newModels(config jetstream.Config) *models {
	return &models{conn: config.Conn, namespace: config.Namespace, registry: kv.NewRegistry(kv.Config{
		Conn: config.Conn, Namespace: config.Namespace, Replicas: config.Replicas, InMemory: config.InMemory, Barrier: config.Barrier,
	})}
}

// Name implements [backup.Table].
func (*models) Name() string { return "models" }

// All implements [backup.Table]. It does not make the registry of a namespace that
// has none.
func (m *models) All(ctx context.Context) (map[string][]byte, error) {
	all := map[string][]byte{}
	views, err := m.views(ctx)
	for _, view := range views {
		entry, revision, err := m.registry.Load(ctx, view)
		if err != nil {
			return nil, err
		}
		if revision == 0 {
			continue
		}
		if all[view], err = json.Marshal(entry); err != nil {
			return nil, err
		}
	}
	return all, err
}

func (m *models) views(ctx context.Context) (views []string, err error) {
	js, err := natsjs.New(m.conn)
	if err != nil {
		return nil, err
	}
	bucket, err := js.KeyValue(ctx, kv.RegistryBucket(m.namespace))
	if errors.Is(err, natsjs.ErrBucketNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lister, err := bucket.ListKeys(ctx)
	if err != nil {
		return nil, err
	}
	for view := range lister.Keys() {
		views = append(views, view)
	}
	return views, ctx.Err()
}

// Restore implements [backup.Table].
func (m *models) Restore(ctx context.Context, view string, value []byte) error {
	var entry projector.Entry
	if err := json.Unmarshal(value, &entry); err != nil {
		return fmt.Errorf("%w: entry of view %s: %w", store.ErrDamaged, view, err)
	}
	_, revision, err := m.registry.Load(ctx, view)
	if err != nil || revision > 0 {
		return err
	}
	_, err = m.registry.Store(ctx, view, entry, 0)
	return err
}
