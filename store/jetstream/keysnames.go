package jetstream

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// What the metadata of a stream of keys say.
const (
	metaRealm = "annals.realm"
	metaEpoch = "annals.epoch"
	metaState = "annals.state"

	kindKeys = "keys"
	// keysFormat is the version of the layout: subjects, one record a message in JSON.
	keysFormat = "1"
	// A stream that is being filled is nobody's yet; one that is ready has all
	// records, and counts when there is none before it.
	stateFilling = "filling"
	stateReady   = "ready"
	// One that is being restored has a part of the records, and there is no other: only
	// who restores it may use it.
	stateRestoring = "restoring"
)

const (
	// epochShift is where the epoch begins in a sequence: a revision of a later epoch
	// is above all of those before, and says of which epoch it is.
	epochShift = 40
	maxEpoch   = 1 << (63 - epochShift)
	// maxKeyRecord is the largest record in bytes.
	maxKeyRecord = 1 << 20
)

// keysEpoch is one stream of key records, and what to ask for it.
type keysEpoch struct {
	number   uint64
	stream   kept
	records  string // "<ns>.key.<epoch>.", followed by the subject's token
	rotation string // "<ns>.key.<epoch>": who fills the stream
	delete   string
	replicas int
	durable  durability
}

func newKeysEpoch(namespace string, number uint64) *keysEpoch {
	rotation := namespace + ".key." + strconv.FormatUint(number, 10)
	stream := keptIn(KeysPrefix(namespace) + strconv.FormatUint(number, 10))
	return &keysEpoch{
		number: number, stream: stream, records: rotation + ".", rotation: rotation,
		delete: "$JS.API.STREAM.MSG.DELETE." + stream.name,
	}
}

// KeysPrefix is what the names of all streams of keys of a namespace begin with, and so those of their directories.
func KeysPrefix(namespace string) string { return "ANNALS_" + namespace + "_keys_" }

// allRecords matches the records of the epoch.
func (e *keysEpoch) allRecords() string { return e.records + "*" }

// first is the sequence of the epoch's first message.
func (e *keysEpoch) first() uint64 { return e.number<<epochShift + 1 }

// epochIn reads the epoch in the name of a stream.
func epochIn(namespace, stream string) (uint64, bool) {
	text, is := strings.CutPrefix(stream, KeysPrefix(namespace))
	number, err := strconv.ParseUint(text, 10, 64)
	return number, is && err == nil && number > 0 && number < maxEpoch && text == strconv.FormatUint(number, 10)
}

// keysConfig is how the stream of an epoch is created. Nothing is denied that
// erasing needs, no replica answers by itself, and the server removes nothing: what
// it removes by itself it does not overwrite.
func keysConfig(cfg KeysConfig, e *keysEpoch, realm uuid.UUID, state string) natsjs.StreamConfig {
	storage := natsjs.FileStorage
	if cfg.InMemory {
		storage = natsjs.MemoryStorage
	}
	return natsjs.StreamConfig{
		Name:              e.stream.name,
		Description:       "Annals: the wrapped keys of the data subjects of " + cfg.Namespace,
		Subjects:          []string{e.rotation, e.allRecords()},
		Retention:         natsjs.LimitsPolicy,
		Discard:           natsjs.DiscardNew,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgsPerSubject: -1,
		MaxConsumers:      -1,
		MaxMsgSize:        maxKeyRecord + maxHeaderBytes,
		Storage:           storage,
		Replicas:          cfg.Replicas,
		FirstSeq:          e.first(),
		Metadata: map[string]string{
			metaKind: kindKeys, metaFormat: keysFormat, metaRealm: realm.String(), metaState: state,
			metaEpoch: strconv.FormatUint(e.number, 10),
		},
	}
}

// verifyKeys compares the settings that the server has with what a key store rests
// on, and returns the realm.
func verifyKeys(cfg KeysConfig, e *keysEpoch, has natsjs.StreamConfig) (uuid.UUID, error) {
	want := keysConfig(cfg, e, cfg.Realm, "")
	var d differences
	for _, key := range []string{metaKind, metaFormat, metaEpoch} {
		d.equal("metadata "+key, quote(has.Metadata[key]), quote(want.Metadata[key]))
	}
	realm, err := uuid.Parse(has.Metadata[metaRealm])
	if err != nil {
		d.equal("metadata "+metaRealm, quote(has.Metadata[metaRealm]), "a UUID")
	} else if cfg.Realm != uuid.Nil {
		d.equal("metadata "+metaRealm, quote(realm.String()), quote(cfg.Realm.String()))
	}
	d.equal("subjects", quote(has.Subjects...), quote(want.Subjects...))
	d.equal("retention", has.Retention.String(), want.Retention.String())
	d.equal("discard", has.Discard.String(), want.Discard.String())
	d.equal("max_age", has.MaxAge.String(), want.MaxAge.String())
	d.without("allow_direct", has.AllowDirect)
	d.without("allow_rollup_hdrs", has.AllowRollup)
	d.without("allow_msg_ttl", has.AllowMsgTTL)
	d.without("deny_delete", has.DenyDelete && !has.Sealed) // a seal brings it
	d.without("no_ack", has.NoAck)
	d.without("mirror", has.Mirror != nil)
	d.without("sources", len(has.Sources) > 0)
	d.without("republish", has.RePublish != nil)
	d.without("subject_transform", has.SubjectTransform != nil)
	d.without("persist_mode async", has.PersistMode == natsjs.AsyncPersistMode)
	d.unlimited("max_msgs", has.MaxMsgs)
	d.unlimited("max_msgs_per_subject", has.MaxMsgsPerSubject)
	d.atLeast("num_replicas", has.Replicas, want.Replicas)
	if has.MaxMsgSize >= 0 {
		d.atLeast("max_msg_size", int(has.MaxMsgSize), int(want.MaxMsgSize))
	}
	if has.Storage == natsjs.MemoryStorage {
		d.equal("storage", has.Storage.String(), want.Storage.String())
	}
	if len(d) > 0 {
		return realm, &SettingsError{Stream: has.Name, Differences: d}
	}
	return realm, nil
}

// subjectIn reads the data subject's id in the subject of a record.
func (e *keysEpoch) subjectIn(subject string) (string, error) {
	token, is := strings.CutPrefix(subject, e.records)
	if !is {
		return "", fmt.Errorf("%w: a message on %s among the keys", store.ErrDamaged, subject)
	}
	id, err := store.DecodeToken(token)
	if err != nil {
		return "", fmt.Errorf("%w: a message on %s among the keys: %w", store.ErrDamaged, subject, err)
	}
	return id, nil
}
