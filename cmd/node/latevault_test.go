package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// A place that is not there is empty, and is made with its first file, which may have an effect from then on. One that
// certainly could not be made had none.
func TestLatePlace(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	refused := errors.New("refused")
	opens := func(path string, err error) func(context.Context) (segment.Vault, error) {
		return func(context.Context) (segment.Vault, error) {
			if err != nil {
				return nil, err
			}
			return segment.Dir(path)
		}
	}
	half := filepath.Join(dir, "half", "made")
	for _, c := range []struct {
		what, place string
		open        func(context.Context) (segment.Vault, error)
		err         error
		touched     bool
	}{
		{"it is made", filepath.Join(dir, "new", "deep"), opens(filepath.Join(dir, "new", "deep"), nil), nil, true},
		{"it is there", filepath.Join(dir, "new"), opens(filepath.Join(dir, "new"), nil), nil, true},
		{"it cannot be made", filepath.Join(dir, "none", "deep"), opens("", refused), refused, false},
		{"a part of it is made", half, func(context.Context) (segment.Vault, error) {
			return nil, errors.Join(refused, os.Mkdir(filepath.Dir(half), 0o700))
		}, refused, true},
	} {
		var did touch
		v, err := vaultToWrite(ctx, nil, c.place, &did, c.open)
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		_, missing := v.Open(ctx, "a")
		files, listed := v.List(ctx, "")
		if !errors.Is(missing, store.ErrNotFound) || len(files) > 0 && c.what != "it is there" || listed != nil || v.String() != c.place {
			t.Errorf("%s: it has %v, %v, %v as %s", c.what, files, missing, listed, v)
		}
		if err := segment.WriteFile(ctx, v, "/", nil); !errors.Is(err, store.ErrInvalid) || did.taken.Load() {
			t.Errorf("%s: a wrong name: %v", c.what, err)
		}
		err = segment.WriteFile(ctx, v, "a", []byte("b"))
		if !errors.Is(err, c.err) || did.taken.Load() != c.touched {
			t.Errorf("%s: %v, touched %t", c.what, err, did.taken.Load())
		}
		if err != nil {
			continue
		}
		if data, err := segment.ReadFile(ctx, v, "a", 8); err != nil || string(data) != "b" {
			t.Errorf("%s: %q, %v", c.what, data, err)
		}
		if files, err := v.List(ctx, ""); err != nil || len(files) == 0 {
			t.Errorf("%s: %v, %v", c.what, files, err)
		}
	}
}
