package node

import (
	"context"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/privacy"
)

// keyAge is how long a node uses keys without a word from the key store, which has one every two
// seconds: a node that is cut off, or stood still, can read no personal data after that. It is shorter
// than the time after which such a node is removed from the directory.
const keyAge = 10 * time.Second

// keysPart is what a member has for personal data: the key store and a keyring. It stands
// behind the log and before all that reads it.
func (m *member) keysPart() part {
	return part{
		name: "keys", open: m.openKeys,
		run: func(ctx context.Context) error { return m.keyring.Run(ctx) },
	}
}

// openKeyStore makes it if it is not there.
func (m *member) openKeyStore(ctx context.Context) (*jetstream.Keys, error) {
	return jetstream.OpenKeys(ctx, jetstream.KeysConfig{
		Conn: m.conn, Namespace: m.session.Namespace(), Create: true,
		Replicas: m.log.Replicas, InMemory: m.log.InMemory, Barrier: m.log.Barrier, Logger: m.logger,
	})
}

func (m *member) openKeys(ctx context.Context) error {
	keys, err := m.openKeyStore(ctx)
	if err != nil {
		return err
	}
	m.keys = keys
	m.keyring, err = privacy.NewKeyring(privacy.KeyringConfig{Keys: m.keys, Wrapper: m.wrapper, MaxAge: keyAge, Logger: m.logger})
	return err
}

// journal is the log as actors and views have it: with personal data in plain.
func (m *member) journal() store.Log {
	if m.keyring == nil {
		return m.events
	}
	return privacy.NewLog(m.events, m.keyring)
}

// pasts are the snapshots, likewise.
func (m *member) snapshots() store.Snapshots {
	if m.keyring == nil {
		return m.events.Snapshots()
	}
	return privacy.NewSnapshots(m.events.Snapshots().(store.PastSnapshots), m.keyring) // which those of a log in JetStream are
}
