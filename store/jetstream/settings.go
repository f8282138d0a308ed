package jetstream

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// What the metadata of the streams say of the namespace.
const (
	metaKind       = "annals.kind"
	metaPartitions = "annals.partitions"
	metaCodec      = "annals.codec"
	metaFormat     = "annals.format"
	metaLogStreams = "annals.log_streams" // absent if there is one
	// metaKeep is the order's only, and absent where commands are not kept. It
	// may be added later, and changes what is appended from then on.
	metaKeep = "annals.keep_commands"

	kindEvents    = "events"     // the order
	kindLogStream = "log-stream" // what it sources
	// eventsFormat is the version of the layout: subjects, one commit a message,
	// the encoding of commits.
	eventsFormat = "1"
)

// maxHeaderBytes is more than the headers of any message take that is appended,
// maxSourcedBytes of any that is sourced: the server names the stream, the
// subject and more.
const (
	maxHeaderBytes  = 256
	maxSourcedBytes = 2048
)

// SettingsError says that a namespace exists on the server, but is not kept as
// it must be, or not as the configuration says. It matches [store.ErrInvalid].
type SettingsError struct {
	// Stream is the name of the stream on the server.
	Stream string
	// Differences are all that were found.
	Differences []Difference
}

// Difference is one setting that is not as it must be.
type Difference struct {
	Setting string // as the server names it, such as "max_age"
	Has     string
	Want    string
}

func (e *SettingsError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "stream %s cannot be used:", e.Stream)
	for i, d := range e.Differences {
		if i > 0 {
			b.WriteString(";")
		}
		fmt.Fprintf(&b, " %s is %s, want %s", d.Setting, d.Has, d.Want)
	}
	return b.String()
}

// Unwrap makes the error match [store.ErrInvalid].
func (e *SettingsError) Unwrap() error { return store.ErrInvalid }

// orderConfig is how the order of a new namespace is created: the stream that is
// appended to if there is one log stream, or one that sources them all.
func orderConfig(cfg Config, n *names) natsjs.StreamConfig {
	c := eventsConfig(cfg, n.order.name, kindEvents)
	c.Description = "Annals: the events of " + cfg.Namespace
	if cfg.FilledFrom != "" {
		c.Metadata[metaFilledFrom] = cfg.FilledFrom
	}
	if cfg.KeepCommands {
		c.Metadata[metaKeep] = keepsCommands
	}
	if !n.sourced() {
		c.Subjects = n.subjects(0)
		return c
	}
	c.MaxMsgSize += maxSourcedBytes
	for _, k := range n.streams {
		c.Sources = append(c.Sources, &natsjs.StreamSource{Name: k.name})
	}
	return c
}

// logStreamConfig is how one of several log streams is created.
func logStreamConfig(cfg Config, n *names, stream int) natsjs.StreamConfig {
	c := eventsConfig(cfg, n.streams[stream].name, kindLogStream)
	c.Description = fmt.Sprintf("Annals: events of %s, log stream %d", cfg.Namespace, stream)
	c.Subjects = n.subjects(stream)
	return c
}

func eventsConfig(cfg Config, name, kind string) natsjs.StreamConfig {
	c := natsjs.StreamConfig{
		Name:              name,
		Retention:         natsjs.LimitsPolicy,
		Discard:           natsjs.DiscardNew,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgsPerSubject: -1,
		MaxConsumers:      -1,
		MaxMsgSize:        store.MaxCommitBytes + maxHeaderBytes,
		Storage:           storage(cfg),
		Replicas:          cfg.Replicas,
		DenyDelete:        true,
		AllowDirect:       true,
		Metadata: map[string]string{
			metaKind:       kind,
			metaPartitions: strconv.Itoa(cfg.Partitions),
			metaCodec:      cfg.Codec.Name(),
			metaFormat:     eventsFormat,
		},
	}
	if cfg.LogStreams > 1 {
		c.Metadata[metaLogStreams] = strconv.Itoa(cfg.LogStreams)
	}
	return c
}

// snapshotsConfig is how the snapshots bucket of a new namespace is created.
func snapshotsConfig(cfg Config, n *names) natsjs.KeyValueConfig {
	return natsjs.KeyValueConfig{
		Bucket:       n.bucket,
		Description:  "Annals: the snapshots of " + cfg.Namespace,
		History:      1,
		MaxValueSize: maxPartBytes + maxHeaderBytes,
		Storage:      storage(cfg),
		Replicas:     cfg.Replicas,
	}
}

func storage(cfg Config) natsjs.StorageType {
	if cfg.InMemory {
		return natsjs.MemoryStorage
	}
	return natsjs.FileStorage
}

// verify compares the settings that the server has with what the log rests on.
// Settings that make no difference to it, such as a limit of bytes, placement
// or compression, are the operator's.
func verify(want, has natsjs.StreamConfig) error {
	var d differences
	for _, key := range []string{metaKind, metaFormat, metaPartitions, metaLogStreams, metaCodec} {
		d.equal("metadata "+key, quote(has.Metadata[key]), quote(want.Metadata[key]))
	}
	if kept, said := has.Metadata[metaKeep]; said {
		d.equal("metadata "+metaKeep, quote(kept), quote(keepsCommands))
	}
	d.equal("subjects", quote(has.Subjects...), quote(want.Subjects...))
	d.equal("sources", quote(sources(has)...), quote(sources(want)...))
	d.equal("retention", has.Retention.String(), want.Retention.String())
	d.equal("discard", has.Discard.String(), want.Discard.String())
	d.equal("max_age", has.MaxAge.String(), want.MaxAge.String())
	d.equal("deny_delete", fmt.Sprint(has.DenyDelete), "true")
	d.equal("allow_direct", fmt.Sprint(has.AllowDirect), "true")
	d.without("allow_rollup_hdrs", has.AllowRollup)
	d.without("allow_msg_ttl", has.AllowMsgTTL)
	d.without("allow_msg_schedules", has.AllowMsgSchedules)
	d.without("allow_msg_counter", has.AllowMsgCounter)
	d.without("no_ack", has.NoAck)
	d.without("sealed", has.Sealed)
	d.without("mirror", has.Mirror != nil)
	d.without("subject_transform", has.SubjectTransform != nil)
	d.without("persist_mode async", has.PersistMode == natsjs.AsyncPersistMode)
	d.unlimited("max_msgs_per_subject", has.MaxMsgsPerSubject)
	d.atLeast("num_replicas", has.Replicas, want.Replicas)
	if has.MaxMsgSize >= 0 {
		d.atLeast("max_msg_size", int(has.MaxMsgSize), int(want.MaxMsgSize))
	}
	if has.Storage == natsjs.MemoryStorage {
		d.equal("storage", has.Storage.String(), want.Storage.String())
	}
	if len(d) > 0 {
		return &SettingsError{Stream: want.Name, Differences: d}
	}
	return nil
}

// sources names what a stream sources; what is not sourced whole has a mark.
func sources(c natsjs.StreamConfig) []string {
	var all []string
	for _, s := range c.Sources {
		name := s.Name
		if s.OptStartSeq > 1 || s.OptStartTime != nil || s.FilterSubject != "" && s.FilterSubject != ">" || len(s.SubjectTransforms) > 0 ||
			s.External != nil || s.Domain != "" {
			name += " in part"
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

type differences []Difference

func (d *differences) add(setting, has, want string) {
	*d = append(*d, Difference{Setting: setting, Has: has, Want: want})
}

func (d *differences) equal(setting, has, want string) {
	if has != want {
		d.add(setting, has, want)
	}
}

func (d *differences) without(setting string, is bool) {
	if is {
		d.add(setting, "set", "unset")
	}
}

func (d *differences) atLeast(setting string, has, want int) {
	if has < want {
		d.add(setting, strconv.Itoa(has), "at least "+strconv.Itoa(want))
	}
}

func (d *differences) unlimited(setting string, has int64) {
	if has > 0 {
		d.add(setting, strconv.FormatInt(has, 10), "no limit")
	}
}

func quote(texts ...string) string {
	quoted := slices.Clone(texts)
	for i, t := range quoted {
		quoted[i] = strconv.Quote(t)
	}
	return strings.Join(quoted, " ")
}
