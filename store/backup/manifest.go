package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

const (
	manifestFormat = 1
	manifestName   = "manifest.json"
	snapshotsName  = "snapshots"
	tablesName     = "tables"
	logPrefix      = "log-"
	// maxManifest bounds a manifest that is read: a log of hundreds of tebibytes
	// in one increment.
	maxManifest = 256 << 20
)

// Manifest says what one backup holds: a namespace from where the backup before it
// ended, or from the beginning, to a position. It is written last: a backup
// without a manifest is none.
type Manifest struct {
	Format    int    `json:"format"`
	ID        string `json:"id"`
	Namespace string `json:"namespace"`
	// Parent is the backup that this one goes on from, and ParentSum the sum of its
	// manifest; empty if this one is complete in itself.
	Parent    string      `json:"parent,omitempty"`
	ParentSum segment.Sum `json:"parent_sum,omitzero"`
	// Created is when it was begun.
	Created time.Time `json:"created"`

	// Codec, Partitions and LogStreams are those of the namespace.
	Codec      string `json:"codec"`
	Partitions int    `json:"partitions"`
	LogStreams int    `json:"log_streams"`
	// KeepsCommands says that the namespace keeps the commands beside the events.
	KeepsCommands bool `json:"keeps_commands,omitempty"`
	// Realm is that of the keys of its personal data, which are kept elsewhere; zero if
	// it has none.
	Realm uuid.UUID `json:"realm,omitzero"`

	// After and Sequence are the sequences of the last commit before this backup and
	// in it; Position is that of the last event, of this backup or of those before.
	After    uint64         `json:"after"`
	Sequence uint64         `json:"sequence"`
	Position store.Position `json:"position"`
	// Commits and Events count what is in this backup alone, Time is the latest time
	// of a commit in it.
	Commits uint64    `json:"commits"`
	Events  uint64    `json:"events"`
	Time    time.Time `json:"time,omitzero"`
	// Chain is the running hash of all commits from the first to Sequence.
	Chain segment.Sum `json:"chain"`

	// Log are the files of commits, in order.
	Log []LogFile `json:"log,omitempty"`
	// Snapshots and Tables are what is kept beside the log; nil if nothing is.
	Snapshots *ValueFile `json:"snapshots,omitempty"`
	Tables    *ValueFile `json:"tables,omitempty"`

	sum segment.Sum
}

// LogFile is one file of commits.
type LogFile struct {
	Name    string         `json:"name"` // in the backup's folder
	Size    int64          `json:"size"`
	Sum     segment.Sum    `json:"sum"`
	First   store.Position `json:"first"`
	Last    store.Position `json:"last"`
	Commits uint64         `json:"commits"`
	Events  uint64         `json:"events"`
	Streams int            `json:"streams"`
	From    time.Time      `json:"from"`
	To      time.Time      `json:"to"`
	Raw     int64          `json:"raw"`
}

// ValueFile is a file of values.
type ValueFile struct {
	Name   string      `json:"name"`
	Size   int64       `json:"size"`
	Sum    segment.Sum `json:"sum"`
	Values uint64      `json:"values"`
	// TooLarge counts the values that were left out because no file takes them.
	TooLarge uint64 `json:"too_large,omitempty"`
}

// Sum returns the SHA-256 of the manifest as it is stored.
func (m *Manifest) Sum() segment.Sum { return m.sum }

// Full reports whether the backup is complete in itself.
func (m *Manifest) Full() bool { return m.Parent == "" }

// Size returns the bytes of all its files but the manifest.
func (m *Manifest) Size() (size int64) {
	for _, f := range m.Log {
		size += f.Size
	}
	for _, f := range []*ValueFile{m.Snapshots, m.Tables} {
		if f != nil {
			size += f.Size
		}
	}
	return size
}

// file returns the name in the vault of a file of the backup.
func (m *Manifest) file(name string) string { return path.Join(m.Namespace, m.ID, name) }

// sealed is how a manifest is stored: with the sum of its bytes.
type sealed struct {
	Manifest json.RawMessage `json:"manifest"`
	Sum      segment.Sum     `json:"sum"`
}

// seal returns the bytes that are stored, one object that people can read.
func (m *Manifest) seal() ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	m.sum = sha256.Sum256(body)
	return json.Marshal(sealed{body, m.sum})
}

// unseal reads a manifest and checks its sum. White space may differ: the sum is
// of the manifest without.
func unseal(data []byte) (*Manifest, error) {
	var s sealed
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", store.ErrDamaged, err)
	}
	var body bytes.Buffer
	if err := json.Compact(&body, s.Manifest); err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", store.ErrDamaged, err)
	}
	if got := segment.Sum(sha256.Sum256(body.Bytes())); got != s.Sum {
		return nil, fmt.Errorf("%w: manifest: its check sum is %s, it was %s", store.ErrDamaged, got, s.Sum)
	}
	m := &Manifest{sum: s.Sum}
	if err := json.Unmarshal(body.Bytes(), m); err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", store.ErrDamaged, err)
	}
	if m.Format != manifestFormat {
		return nil, &store.InvalidError{What: "format of a manifest", Value: fmt.Sprint(m.Format), Reason: fmt.Sprintf("this build reads %d", manifestFormat)}
	}
	return m, nil
}

// read returns the manifest of one backup.
func read(ctx context.Context, v segment.Vault, namespace, id string) (*Manifest, error) {
	name := path.Join(namespace, id, manifestName)
	data, err := segment.ReadFile(ctx, v, name, maxManifest)
	if err != nil {
		return nil, fmt.Errorf("backup %s: %w", id, err)
	}
	m, err := unseal(data)
	if err == nil && (m.ID != id || m.Namespace != namespace) {
		err = fmt.Errorf("%w: it is of backup %s of %s", store.ErrDamaged, m.ID, m.Namespace)
	}
	if err != nil {
		return nil, &FileError{File: name, Reason: err}
	}
	return m, nil
}

// ids returns the backups of a namespace that have a manifest, oldest first, and
// the files of backups that have none. Of files that no backup wrote, such as those
// of an archive in the same vault, it says nothing: they are not this package's.
func ids(ctx context.Context, v segment.Vault, namespace string) (complete []string, left []segment.Entry, err error) {
	files, err := v.List(ctx, namespace+"/")
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		if id, found := strings.CutSuffix(strings.TrimPrefix(f.Name, namespace+"/"), "/"+manifestName); found {
			complete = append(complete, id)
		}
	}
	for _, f := range files {
		id, name, _ := strings.Cut(strings.TrimPrefix(f.Name, namespace+"/"), "/")
		if isID(id) && isFile(name) && !slices.Contains(complete, id) {
			left = append(left, f)
		}
	}
	return complete, left, nil
}

// isID reports whether a folder has a name that newID gives.
func isID(folder string) bool {
	text, random, found := strings.Cut(folder, "-")
	_, err := time.Parse(idLayout, text)
	return found && random != "" && err == nil
}

// isFile reports whether a file of a folder has a name that a backup gives.
func isFile(name string) bool {
	return name == snapshotsName || name == tablesName || strings.HasPrefix(name, logPrefix)
}

// Listed is one backup of a list.
type Listed struct {
	ID string
	// Manifest is nil if it cannot be read, and Err says why.
	Manifest *Manifest
	Err      error
}

// List returns the backups of a namespace, oldest first. One whose manifest is
// damaged is listed as such.
func List(ctx context.Context, v segment.Vault, namespace string) ([]Listed, error) {
	if err := store.ValidateName("namespace", namespace); err != nil {
		return nil, err
	}
	complete, _, err := ids(ctx, v, namespace)
	if err != nil {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	all := make([]Listed, len(complete))
	for i, id := range complete {
		m, err := read(ctx, v, namespace, id)
		if err != nil && !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrInvalid) {
			return nil, fmt.Errorf("list backups: %w", err)
		}
		all[i] = Listed{ID: id, Manifest: m, Err: err}
	}
	return all, nil
}

// idLayout makes ids that sort by time.
const idLayout = "20060102T150405.000Z"

// newID returns an id that sorts after those that there are, even where the clock
// was set back: the last backup is the one to go on from.
func newID(now time.Time, before []string) (string, error) {
	random := make([]byte, 3)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	if len(before) > 0 {
		text, _, _ := strings.Cut(before[len(before)-1], "-")
		if last, err := time.Parse(idLayout, text); err == nil && !now.After(last) {
			now = last.Add(time.Millisecond)
		}
	}
	return now.UTC().Format(idLayout) + "-" + hex.EncodeToString(random), nil
}
