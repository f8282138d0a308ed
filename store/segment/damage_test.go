package segment_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// A bit that is flipped in any byte of a file is found, and reading never says
// anything but that it is damage.
func TestVerifyFindsEveryByte(t *testing.T) {
	t.Parallel()
	file, _ := written(t, store.MsgPack, history(t, store.MsgPack, 5, 2))
	for at := range file {
		flipped := bytes.Clone(file)
		flipped[at] ^= 1 << (at % 8)
		if err := verify(t.Context(), flipped); !errors.Is(err, store.ErrDamaged) {
			t.Fatalf("byte %d, bit %d of %d bytes: %v", at, at%8, len(file), err)
		}
	}
}

func verify(ctx context.Context, file []byte) error {
	r, err := segment.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return err
	}
	return r.Verify(ctx)
}

func TestTruncatedFile(t *testing.T) {
	t.Parallel()
	file, _ := written(t, store.MsgPack, history(t, store.MsgPack, 5, 2))
	for n := range file {
		if err := verify(t.Context(), file[:n]); !errors.Is(err, store.ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v", n, len(file), err)
		}
	}
}

// A flipped bit in a frame names the frame; the other frames are read.
func TestDamageIsNamed(t *testing.T) {
	t.Parallel()
	commits := history(t, store.MsgPack, 9000, 20)
	file, _ := written(t, store.MsgPack, commits)
	whole := opened(t, file)
	var clean []uint64
	file[len(file)/2] ^= 0x10
	r := opened(t, file)
	got, err := collect(r.All(0, 0))
	var damage *segment.FrameError
	if !errors.As(err, &damage) || !errors.Is(err, store.ErrDamaged) {
		t.Fatalf("%d commits, %v", len(got), err)
	}
	if damage.Offset > int64(len(file)/2) || uint64(len(got))+1 != damage.First || damage.Last < damage.First {
		t.Errorf("%d commits before %+v", len(got), damage)
	}
	if err := r.Verify(t.Context()); !errors.As(err, &damage) {
		t.Errorf("verify: %v", err)
	}
	after, err := collect(r.All(damage.Last, 0))
	if err != nil || uint64(len(after)) != 9000-damage.Last {
		t.Errorf("%d commits after the frame, %v", len(after), err)
	}
	for span := range whole.Streams() {
		if _, err := collect(r.Stream(span.Stream, span.Before)); !errors.Is(err, store.ErrDamaged) {
			clean = append(clean, span.First)
		}
	}
	if len(clean) > 0 {
		t.Errorf("%d streams with commits in the frame were read to the end", len(clean))
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	t.Parallel()
	file, _ := written(t, store.MsgPack, history(t, store.MsgPack, 20, 3))
	broken := errors.New("input/output error")
	if _, err := segment.Open(unreadable{broken}, int64(len(file))); !errors.Is(err, broken) || errors.Is(err, store.ErrDamaged) {
		t.Errorf("open: %v", err)
	}
}

type unreadable struct{ err error }

func (u unreadable) ReadAt([]byte, int64) (int, error) { return 0, u.err }

func TestVerifyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	file, _ := written(t, store.MsgPack, history(t, store.MsgPack, 20, 3))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := opened(t, file).Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// FuzzOpen gives the reader any bytes. It may refuse them, but only as damage,
// and what it takes must be consistent.
func FuzzOpen(f *testing.F) {
	commits := history(f, store.MsgPack, 200, 9)
	small, _ := written(f, store.MsgPack, commits[:2])
	large, _ := written(f, store.MsgPack, commits)
	text, _ := written(f, store.JSON, history(f, store.JSON, 5, 2))
	for _, file := range [][]byte{small, large, text, nil} {
		f.Add(file, uint32(0), byte(0))
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		f.Add(large, random.Uint32(), byte(random.Uint32()))
	}
	f.Fuzz(func(t *testing.T, file []byte, at uint32, with byte) {
		if len(file) > 0 {
			file = bytes.Clone(file)
			file[int(at)%len(file)] ^= with
		}
		r, err := segment.Open(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			if !errors.Is(err, store.ErrDamaged) && !errors.Is(err, io.EOF) {
				t.Fatalf("%v is not damage", err)
			}
			return
		}
		all, err := collect(r.All(0, 0))
		if err != nil && !errors.Is(err, store.ErrDamaged) {
			t.Fatalf("%v is not damage", err)
		}
		sound := r.Verify(t.Context())
		if sound != nil && !errors.Is(sound, store.ErrDamaged) {
			t.Fatalf("verify: %v is not damage", sound)
		}
		if sound == nil && (err != nil || uint64(len(all)) != r.Info().Commits) {
			t.Fatalf("verified, but it has %d commits of %d: %v", len(all), r.Info().Commits, err)
		}
		for span := range r.Streams() {
			if _, err := collect(r.Stream(span.Stream, span.Before)); sound == nil && err != nil {
				t.Fatalf("verified, but %s: %v", span.Stream, err)
			}
		}
	})
}
