package node

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/store/segment"
)

// brokenKeys cannot be read.
type brokenKeys struct {
	privacy.Keys
	unreadable error
}

func (k brokenKeys) All(ctx context.Context) iter.Seq2[privacy.Record, error] {
	if k.unreadable == nil {
		return k.Keys.All(ctx)
	}
	return func(yield func(privacy.Record, error) bool) { yield(privacy.Record{}, k.unreadable) }
}

// brokenVault cannot have a draft closed.
type brokenVault struct {
	segment.Vault
	err error
}

func (v brokenVault) Create(ctx context.Context, name string) (segment.Draft, error) {
	d, err := v.Vault.Create(ctx, name)
	return brokenDraft{d, v.err}, err
}

type brokenDraft struct {
	segment.Draft
	err error
}

func (d brokenDraft) Close() error { return errors.Join(d.Abort(), d.err) }

// An act has certainly done nothing as long as it has only read; once it tried to write, nobody knows.
func TestWhatOnlyReadIsUntouched(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for _, c := range []struct {
		what            string
		unread, unsaved error
		want            string
	}{
		{"the first read is refused", refused, nil, "failed: FAILURE"},
		{"a file may be there", nil, refused, "unknown: FAILURE"},
	} {
		vault, err := segment.Dir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if c.unsaved != nil {
			vault = brokenVault{vault, c.unsaved}
		}
		var did touch
		_, err = backup.CopyKeys(t.Context(), did.vault(vault), "bank", brokenKeys{Keys: privacy.NewMemory(), unreadable: c.unread}, "")
		if got := outcomeOf(did.outcome(err), "FAILURE"); !errors.Is(err, refused) || got != c.want {
			t.Errorf("%s: %s, %v", c.what, got, err)
		}
	}
	var did touch
	if did.outcome(nil) != nil {
		t.Error("what was done is an error")
	}
}
