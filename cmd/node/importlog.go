package node

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// importLog is a log that a file may not put everything into. What the system of another
// namespace kept about itself is passed over, or a file could say who did what here. Plain personal
// data are refused: what is appended from a file is not sealed.
type importLog struct {
	store.Log
	models   map[string]*actor.Model // of aggregates
	events   map[string][]string     // paths to personal data, by aggregate and event type
	commands map[string][]string     // likewise, with all commands of these aggregates
	left     atomic.Int64            // events that were passed over
}

func newImportLog(log store.Log, app App) (*importLog, error) {
	l := &importLog{Log: log, models: map[string]*actor.Model{}, events: map[string][]string{}, commands: map[string][]string{}}
	for _, d := range app.Aggregates {
		m, err := actor.NewModel(d, log.Codec())
		if err != nil {
			return nil, err
		}
		l.add(m, m.Types(actor.EventType), l.events)
		l.add(m, m.Types(actor.CommandType), l.commands)
	}
	return l, nil
}

func (l *importLog) add(m *actor.Model, types []actor.Type, paths map[string][]string) {
	for _, t := range types {
		personal := personalPaths(t)
		paths[m.TypeName()+" "+t.Name] = personal
		if personal != nil {
			l.models[m.TypeName()] = m
		}
	}
}

// personalPaths are where a type has something about a person: name, or guests[].name.
func personalPaths(t actor.Type) (paths []string) {
	for _, f := range t.Fields {
		if f.Personal == "" {
			continue
		}
		for part := range strings.SplitSeq(f.Personal, ", ") {
			inner, _, _ := strings.Cut(part, "of ")
			paths = append(paths, f.Name+strings.TrimSpace(inner))
		}
	}
	return paths
}

// Append implements [store.Log].
func (l *importLog) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	if actor.Reserved(c.Stream.Type) {
		l.left.Add(int64(len(c.Events)))
		return store.Head{Version: c.After.Version + uint64(len(c.Events))}, nil
	}
	if err := l.check(c); err != nil {
		return store.Head{}, err
	}
	return l.Log.Append(ctx, c)
}

// check refuses events and commands that have something about a person in plain.
func (l *importLog) check(c *store.Commit) error {
	m := l.models[c.Stream.Type]
	if m == nil {
		return nil
	}
	for _, e := range c.Events {
		upcast, err := m.Upcast(e)
		if err != nil {
			return fmt.Errorf("look for personal data in %s of %s: %w", e.Type, c.Stream, err)
		}
		for _, u := range upcast {
			if err := l.checkData(c.Stream, e.Type, u.Data, l.events[c.Stream.Type+" "+u.Type]); err != nil {
				return err
			}
		}
	}
	for _, command := range c.Commands {
		paths, known := l.commands[c.Stream.Type+" "+command.Name]
		if !known && len(command.Data) > 0 {
			paths = []string{""} // of an old name it is not known what is personal
		}
		if err := l.checkData(c.Stream, "command "+command.Name, command.Data, paths); err != nil {
			return err
		}
	}
	return nil
}

func (l *importLog) checkData(stream store.StreamID, what string, data []byte, paths []string) error {
	if len(paths) == 0 || len(data) == 0 {
		return nil
	}
	var v any
	if err := l.Codec().Unmarshal(data, &v, false); err != nil {
		return err
	}
	for _, path := range paths {
		if reaches(v, path) {
			return plainFailure(stream, what, path)
		}
	}
	return nil
}

// reaches reports whether a decoded value has anything at a path.
func reaches(v any, path string) bool {
	if path = strings.TrimPrefix(path, "."); path == "" {
		return v != nil && v != ""
	}
	if inner, is := strings.CutPrefix(path, "[]"); is {
		return reachesAny(v, inner)
	}
	name, rest := path, ""
	if i := strings.IndexAny(path, ".["); i > 0 {
		name, rest = path[:i], path[i:]
	}
	fields, is := v.(map[string]any)
	return is && reaches(fields[name], rest)
}

// reachesAny is reaches for any of the elements of a list or a map.
func reachesAny(v any, path string) bool {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if reaches(e, path) {
				return true
			}
		}
	case map[string]any:
		for _, e := range v {
			if reaches(e, path) {
				return true
			}
		}
	}
	return false
}

func plainFailure(stream store.StreamID, what, path string) error {
	return &Failure{
		Code: codePlain, Exit: exitConflict, What: fmt.Sprintf("%s of %s has personal data in plain: %s", what, stream, path),
		Why: "what is imported is not sealed, and could not be forgotten", Fix: "export without --kek: personal data are left out then; to move a namespace with them, use backup and restore",
	}
}
