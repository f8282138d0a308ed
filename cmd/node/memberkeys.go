package node

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/cmd/node/boot"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/cmd/node/web"
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
func (m *member) keysPart() boot.Part {
	return boot.Part{
		Name: "keys", Open: m.openKeys,
		Run: func(ctx context.Context) error { return m.keyring.Run(ctx) },
	}
}

// openKeyStore makes it if it is not there and the log has nothing that was sealed under
// others' keys.
func (m *member) openKeyStore(ctx context.Context) (*jetstream.Keys, error) {
	config := jetstream.KeysConfig{
		Conn: m.conn, Namespace: m.session.Namespace(),
		Replicas: m.log.Replicas, InMemory: m.log.InMemory, Barrier: m.log.Barrier, Logger: m.logger,
	}
	keys, err := jetstream.OpenKeys(ctx, config)
	if !errors.Is(err, store.ErrNotFound) {
		return keys, err
	}
	if err := m.session.refuseKeyless(ctx, m.events); err != nil {
		return nil, err
	}
	config.Create = true
	err = m.denial.unlessDenied(ctx, func(ctx context.Context) (err error) {
		keys, err = jetstream.OpenKeys(ctx, config)
		return err
	})
	return keys, m.unprovisioned(err)
}

func (m *member) openKeys(ctx context.Context) error {
	keys, err := m.openKeyStore(ctx)
	if err != nil {
		return err
	}
	m.keys = keys
	m.keyring, err = privacy.NewKeyring(privacy.KeyringConfig{Keys: m.keys, Wrapper: m.wrapper, MaxAge: keyAge, Logger: m.logger})
	if err != nil {
		return err
	}
	if m.metrics != nil {
		if err := m.metrics.Register(lackingGauge(m.keyring)); err != nil {
			return err
		}
	}
	return strangersKek(m.keyring.Check(ctx))
}

// lackingGauge says what wrappingCheck says. The key's name is in the log: as a label it would leave a
// series behind for each that there ever was.
func lackingGauge(keyring *privacy.Keyring) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "annals_wrapping_key_lacking",
		Help: "1 if the node does not have the namespace's current wrapping key, and refuses what needs a key from it.",
	}, func() float64 {
		if keyring.Lacking() != nil {
			return 1
		}
		return 0
	})
}

// checkedKeyring returns a keyring of a command, on wrapping keys that are those of the namespace: with others
// of the same name, which dev gives to all it makes, every value would look damaged, and with others a command
// that seals would wait for them for ever, as a node does.
func (s *Session) checkedKeyring(ctx context.Context, keys privacy.Keys, wrapper privacy.Wrapper) (*privacy.Keyring, error) {
	keyring, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: keys, Wrapper: wrapper, Logger: s.Logger()})
	if err != nil {
		return nil, err
	}
	return keyring, strangersKek(keyring.Check(ctx))
}

// wrappingCheck says whether the node has the namespace's current wrapping key. One that has not still
// serves whatever needs no key from it, and what it lacks all nodes may lack: it stays ready.
func (m *member) wrappingCheck() web.Check {
	c := web.Check{Name: "wrapping key", Bearable: true}
	if wrong := m.keyring.Lacking(); wrong != nil {
		c.Reason = wrong.Error()
	}
	return c
}

// strangersKek says what to do about a wrapping key that is not the namespace's.
func strangersKek(err error) error {
	wrong, is := errors.AsType[*privacy.WrappingError](err)
	if !is {
		return err
	}
	return &Failure{
		Code: codeKek, Exit: console.ExitUsage, What: "the wrapping keys are not those of the namespace", Why: wrong.Error(),
		Fix: "name those that the namespace was used with, with --" + kekFlag, Err: err,
	}
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
