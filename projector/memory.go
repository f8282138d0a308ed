package projector

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/annals-go/annals/store"
)

// Memory is a [Store] that keeps read models in memory, for tests and for
// throw-away data. It needs no clean-up and may be used inside a
// testing/synctest bubble. The zero value is an empty store.
type Memory struct {
	mu    sync.Mutex
	views map[Model]*memoryView
}

// memoryMaxChanges is as large as that of the stores that keep data, so that
// what runs on Memory runs on them.
const memoryMaxChanges = 999

// Open implements [Store]. It keeps no tables.
func (m *Memory) Open(_ context.Context, layout Layout) (View, error) {
	if len(layout.Tables) > 0 {
		return nil, &store.InvalidError{What: "view", Value: layout.View, Reason: "a store in memory keeps no tables"}
	}
	return m.view(layout.Model), nil
}

// Drop implements [Store].
func (m *Memory) Drop(_ context.Context, model Model) error {
	m.mu.Lock()
	v := m.views[model]
	delete(m.views, model)
	m.mu.Unlock()
	if v != nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.dropped = true
	}
	return nil
}

// Shared implements [Store]: groups that are given the same Memory share it.
func (m *Memory) Shared() bool { return true }

// Tear stores documents without a checkpoint, as a commit that a power cut
// tore leaves them. It is for tests.
func (m *Memory) Tear(view string, version int, docs ...Document) {
	v := m.view(Model{View: view, Version: version})
	v.mu.Lock()
	defer v.mu.Unlock()
	v.put(docs)
}

func (m *Memory) view(model Model) *memoryView {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.views == nil {
		m.views = map[Model]*memoryView{}
	}
	if m.views[model] == nil {
		m.views[model] = &memoryView{
			name: model.View, docs: map[string]memoryDocument{}, checkpoints: map[string]Checkpoint{},
			notes: map[string]map[string]json.RawMessage{},
		}
	}
	return m.views[model]
}

type memoryView struct {
	name        string
	mu          sync.Mutex
	last        uint64 // revision of the last thing stored
	docs        map[string]memoryDocument
	checkpoints map[string]Checkpoint
	notes       map[string]map[string]json.RawMessage // by worker and key
	dropped     bool
}

type memoryDocument struct {
	Document
	revision uint64
}

func (d memoryDocument) copied() Document {
	d.Document.Document = slices.Clone(d.Document.Document)
	return d.Document
}

// asked refuses what comes when its caller has gone.
func asked(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return nil
}

func (v *memoryView) put(docs []Document) {
	for _, d := range docs {
		v.last++
		d.Document = slices.Clone(d.Document)
		v.docs[d.Key] = memoryDocument{Document: d, revision: v.last}
	}
}

func (v *memoryView) Load(ctx context.Context, worker string) (Checkpoint, error) {
	if err := asked(ctx); err != nil {
		return Checkpoint{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	c, ok := v.checkpoints[worker]
	if !ok {
		c = Checkpoint{Worker: worker}
	}
	for _, d := range v.docs {
		if d.revision > c.Revision {
			c.Furthest = max(c.Furthest, d.Position)
		}
	}
	return c, nil
}

func (v *memoryView) Commit(ctx context.Context, w Write) (Checkpoint, error) {
	if err := asked(ctx); err != nil {
		return Checkpoint{}, err
	}
	if err := w.check(memoryMaxChanges); err != nil {
		return Checkpoint{}, fmt.Errorf("commit view %s: %w", v.name, err)
	}
	if err := w.CheckSealed(); err != nil {
		return Checkpoint{}, fmt.Errorf("commit view %s: %w", v.name, err)
	}
	if w.Apply != nil {
		return Checkpoint{}, &store.InvalidError{What: "view", Value: v.name, Reason: "a store in memory keeps no tables"}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	c := w.Checkpoint
	if has := v.checkpoints[c.Worker].Revision; has != c.Revision || v.dropped {
		return Checkpoint{}, fmt.Errorf("commit view %s: checkpoint has revision %d, expected %d: %w", v.name, has, c.Revision, ErrFenced)
	}
	v.put(w.Documents)
	v.note(c.Worker, w.Notes)
	v.last++
	c.Revision = v.last
	v.checkpoints[c.Worker] = c
	return c, nil
}

// check refuses what no store takes.
func (w Write) check(most int) error {
	if n := len(w.Documents) + len(w.Notes); n > most {
		return &store.TooLargeError{What: "number of changes in a commit", Size: n, Limit: most}
	}
	for _, d := range w.Documents {
		if _, err := store.EncodeToken(d.Key); err != nil {
			return err
		}
	}
	for _, n := range w.Notes {
		if _, err := store.EncodeToken(n.Key); err != nil {
			return err
		}
	}
	return nil
}

func (v *memoryView) note(worker string, notes []Note) {
	if v.notes[worker] == nil {
		v.notes[worker] = map[string]json.RawMessage{}
	}
	for _, n := range notes {
		if n.Value == nil {
			delete(v.notes[worker], n.Key)
		} else {
			v.notes[worker][n.Key] = slices.Clone(n.Value)
		}
	}
}

func (v *memoryView) Notes(ctx context.Context, worker string) ([]Note, error) {
	if err := asked(ctx); err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var notes []Note
	for _, key := range slices.Sorted(maps.Keys(v.notes[worker])) {
		notes = append(notes, Note{Key: key, Value: slices.Clone(v.notes[worker][key])})
	}
	return notes, nil
}

func (v *memoryView) Get(ctx context.Context, keys []string, _ ...Checkpoint) ([]Document, error) {
	if err := asked(ctx); err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var docs []Document
	for _, key := range keys {
		if d, ok := v.docs[key]; ok {
			docs = append(docs, d.copied())
		}
	}
	return docs, nil
}

func (v *memoryView) List(ctx context.Context, cursor string, limit int, _ ...Checkpoint) ([]Document, string, error) {
	if err := asked(ctx); err != nil {
		return nil, "", err
	}
	after, err := parseMemoryCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	rest := v.after(after)
	more := len(rest) > limit
	var docs []Document
	for _, d := range rest[:min(limit, len(rest))] {
		docs = append(docs, d.copied())
		after = d.revision
	}
	if !more {
		return docs, "", nil
	}
	return docs, strconv.FormatUint(after, 10), nil
}

func (v *memoryView) after(revision uint64) []memoryDocument {
	v.mu.Lock()
	defer v.mu.Unlock()
	var rest []memoryDocument
	for _, d := range v.docs {
		if d.revision > revision && d.Document.Document != nil {
			rest = append(rest, d)
		}
	}
	slices.SortFunc(rest, func(a, b memoryDocument) int { return cmp.Compare(a.revision, b.revision) })
	return rest
}

func (v *memoryView) MaxChanges() int { return memoryMaxChanges }

// Torn is true for the sake of [Memory.Tear].
func (v *memoryView) Torn() bool { return true }

func parseMemoryCursor(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	after, err := strconv.ParseUint(cursor, 10, 64)
	if err != nil {
		return 0, &store.InvalidError{What: "cursor", Value: cursor, Reason: "it was not made by this view"}
	}
	return after, nil
}
