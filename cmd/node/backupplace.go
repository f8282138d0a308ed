package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/segment"
)

// backupPlace says what the argument WHERE of the backup commands may be.
const backupPlace = `WHERE is a directory, or nats:BUCKET: an object store of the NATS server, which
should not be the one that is backed up.`

// site is the server with the namespace that is backed up or restored.
type site struct {
	conn    *nats.Conn
	barrier func(context.Context) error
	server  *embedded.Server // nil: one that runs elsewhere
}

// openSite connects to the server, or runs one on a directory that nobody else
// uses and that has data.
func (s *Session) openSite(ctx context.Context, data string) (*site, error) {
	if data == "" {
		conn, err := s.Connect(ctx)
		return &site{conn: conn}, err
	}
	if err := s.checkData(data); err != nil {
		return nil, err
	}
	if !hasData(data) {
		return nil, s.noData(data)
	}
	return s.startSite(data)
}

// checkData refuses a directory that has the data of several servers, beside which
// one server would make its own.
func (s *Session) checkData(data string) error {
	err := devConfig{dir: data, nodes: 1}.checkLayout()
	if f, is := errors.AsType[*Failure](err); is {
		f.Fix = fmt.Sprintf("run them: %s dev --nodes 3 --data %s, and leave --data out here; or name another directory", s.app.Name, data)
	}
	return err
}

// hasData reports whether a server has kept data in the directory.
func hasData(data string) bool { return isDir(filepath.Join(data, "jetstream")) }

func (s *Session) noData(data string) *Failure {
	f := &Failure{Code: gateway.CodeNotFound, Exit: console.ExitNotFound, What: "there is no directory " + data}
	if isDir(data) {
		f.What = fmt.Sprintf("directory %s has no data", data)
	}
	f.Fix = fmt.Sprintf("name the directory that %s dev --data was given", s.app.Name)
	return f
}

// startSite runs a server on the directory, which it makes if it is not there.
func (s *Session) startSite(data string) (*site, error) {
	server, err := embedded.Start(embedded.Config{Dir: data, Port: embedded.NoListener, Logger: s.Logger()})
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

// vaultToRead opens a place that is only read, and does not make it. The error
// matches [store.ErrNotFound] if it is not there.
func vaultToRead(ctx context.Context, conn *nats.Conn, place string) (segment.Vault, error) {
	bucket, is := strings.CutPrefix(place, inBucket)
	if !is {
		if err := dirToRead(place); err != nil {
			return nil, err
		}
	}
	if is && bucket != "" {
		if err := bucketToRead(ctx, conn, bucket); err != nil {
			return nil, err
		}
	}
	return vaultAt(ctx, conn, place, 1)
}

// bucketToRead returns an error that matches [store.ErrNotFound] if the server says that there is no such object store.
func bucketToRead(ctx context.Context, conn *nats.Conn, bucket string) error {
	js, err := natsjs.New(conn)
	if err != nil {
		return err
	}
	if _, err = js.ObjectStore(ctx, bucket); errors.Is(err, natsjs.ErrBucketNotFound) {
		return fmt.Errorf("%w: the server has no object store %s", store.ErrNotFound, bucket)
	}
	return nil
}

// openBackup opens a backup, the last one if id is empty.
func (s *Session) openBackup(ctx context.Context, conn *nats.Conn, where, namespace, id string) (*backup.Backup, error) {
	vault, err := vaultToRead(ctx, conn, where)
	if err == nil {
		var b *backup.Backup
		if b, err = backup.Open(ctx, vault, namespace, id); err == nil {
			return b, nil
		}
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	f := &Failure{
		Code: gateway.CodeNotFound, Exit: console.ExitNotFound, What: fmt.Sprintf("no backup of %s in %s", namespace, where), Why: err.Error(), Err: err,
		Fix: fmt.Sprintf("name the place and the namespace of a backup; or make one: %s backup create %s", s.app.Name, where),
	}
	if id != "" {
		f.What = fmt.Sprintf("no backup %s of %s in %s", id, namespace, where)
		f.Fix = fmt.Sprintf("see which there are: %s backup ls %s --ns %s", s.app.Name, where, namespace)
	}
	return nil, f
}

// onInterrupt returns err, and says what a person who interrupted the command
// should know.
func (s *Session) onInterrupt(ctx context.Context, err error, note string) error {
	if err != nil && explain(ctx, s, err).Exit == console.ExitInterrupted {
		fmt.Fprintln(s.Err(), note)
	}
	return err
}

// openLog opens the log of a namespace that is there.
func (s *Session) openLog(ctx context.Context, p *site) (*jetstream.Log, jetstream.Config, error) {
	config, err := request(ctx, s, notControl, func(ctx context.Context) (jetstream.Config, error) {
		return jetstream.Existing(ctx, p.conn, s.Namespace())
	})
	if errors.Is(err, store.ErrNotFound) {
		err = s.noNamespace(ctx, p.conn, err)
	}
	if err != nil {
		return nil, config, err
	}
	config.Logger, config.Barrier = s.Logger(), p.barrier
	if err := s.addArchive(ctx, &config, s.flags.archive); err != nil {
		return nil, config, err
	}
	log, err := jetstream.Open(ctx, config)
	return log, config, err
}

// models is the table of a backup that says which read models there are: the
// definitions of the views as they are served, not what the views contain.
type models struct{ registry *kv.Registry }

func newModels(config jetstream.Config) *models {
	return &models{registry: kv.NewRegistry(kv.Config{
		Conn: config.Conn, Namespace: config.Namespace, Replicas: config.Replicas, InMemory: config.InMemory, Barrier: config.Barrier,
	})}
}

// Name implements [backup.Table].
func (*models) Name() string { return "models" }

// All implements [backup.Table]. It does not make the registry of a namespace that
// has none.
func (m *models) All(ctx context.Context) (map[string][]byte, error) {
	entries, err := m.registry.All(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string][]byte, len(entries))
	for view, entry := range entries {
		if all[view], err = json.Marshal(entry); err != nil {
			return nil, err
		}
	}
	return all, nil
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
