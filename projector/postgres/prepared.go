package postgres

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// prepared is a write as the server takes it.
type prepared struct {
	checkpoint string
	puts       []chunk  // documents, in pieces of bounded size
	removes    []string // keys
	noteKeys   []string
	noteValues []string
	noteDrops  []string
}

// prepare checks a write, and puts it into the server's forms.
func prepare(w projector.Write) (prepared, error) {
	var p prepared
	if err := w.CheckSealed(); err != nil {
		return p, err
	}
	if n := len(w.Documents) + len(w.Notes); n > maxChanges {
		return p, &store.TooLargeError{What: "number of changes in a commit", Size: n, Limit: maxChanges}
	}
	data, err := json.Marshal(w.Checkpoint)
	if err != nil {
		return p, err
	}
	p.checkpoint = string(data)
	for i, d := range w.Documents {
		if err := p.document(i, d); err != nil {
			return p, err
		}
	}
	for _, n := range w.Notes {
		if err := p.note(n); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *prepared) note(n projector.Note) error {
	if _, err := store.EncodeToken(n.Key); err != nil {
		return err
	}
	if n.Value == nil {
		p.noteDrops = append(p.noteDrops, n.Key)
		return nil
	}
	p.noteKeys = append(p.noteKeys, n.Key)
	p.noteValues = append(p.noteValues, strings.ToValidUTF8(string(n.Value), "\uFFFD"))
	return nil
}

// queue adds the statements that store what was prepared; base is the revision
// of the commit's first document.
func (p prepared) queue(batch *pgx.Batch, v *view, worker string, base int64) {
	if len(p.removes) > 0 {
		batch.Queue(v.sql.remove, p.removes)
	}
	for _, c := range p.puts {
		batch.Queue(v.sql.upsert, base, c.keys, c.positions, c.places, c.documents, c.exact)
	}
	if len(p.noteKeys) > 0 {
		batch.Queue(v.sql.putNotes, worker, p.noteKeys, p.noteValues)
	}
	if len(p.noteDrops) > 0 {
		batch.Queue(v.sql.dropNotes, worker, p.noteDrops)
	}
}

// blame finds the document that the server refused with a commit, if it was
// one: its message says what is wrong and not where. Nothing was stored, and it
// is a rare way to fail, so each document is asked about again, by itself.
func (p prepared) blame(ctx context.Context, v *view, refused error) error {
	if known(refused) || !ofData(refused) {
		return refused
	}
	for _, c := range p.puts {
		for i, key := range c.keys {
			if _, err := v.db.ExecContext(ctx, v.sql.document, c.documents[i]); err != nil && ofData(err) {
				return &store.InvalidError{What: "document", Value: key, Reason: err.Error()}
			}
		}
	}
	return refused
}
