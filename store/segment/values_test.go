package segment_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

func valuesFile(t testing.TB, values []segment.Value) ([]byte, segment.Sum) {
	t.Helper()
	var file bytes.Buffer
	w := segment.NewValueWriter(&file)
	for _, v := range values {
		if err := w.Add(v.Key, v.Data); err != nil {
			t.Fatal(err)
		}
	}
	n, size, sum, err := w.Close()
	if err != nil || n != uint64(len(values)) || size != int64(file.Len()) {
		t.Fatalf("%d values in %d bytes, %v", n, size, err)
	}
	return file.Bytes(), sum
}

func readValues(file []byte, sum segment.Sum) (all []segment.Value, err error) {
	for v, err := range segment.Values(bytes.NewReader(file), int64(len(file)), sum) {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

func TestValues(t *testing.T) {
	t.Parallel()
	var want []segment.Value
	for i := range 3000 {
		want = append(want, segment.Value{Key: fmt.Sprint("key/", i), Data: bytes.Repeat([]byte{byte(i)}, i%700)})
	}
	want = append(want, segment.Value{Key: "large", Data: bytes.Repeat([]byte("large "), 400_000)}, segment.Value{Data: []byte{}})
	for _, n := range []int{0, 1, len(want)} {
		file, sum := valuesFile(t, want[:n])
		got, err := readValues(file, sum)
		if same := func(a, b segment.Value) bool { return a.Key == b.Key && bytes.Equal(a.Data, b.Data) }; err != nil || !slices.EqualFunc(got, want[:n], same) {
			t.Errorf("%d of %d values, %v", len(got), n, err)
		}
	}
}

func TestValuesFindEveryByte(t *testing.T) {
	t.Parallel()
	file, sum := valuesFile(t, []segment.Value{{Key: "a", Data: []byte("one")}, {Key: "b", Data: []byte("two")}})
	for at := range file {
		flipped := bytes.Clone(file)
		flipped[at] ^= 1 << (at % 8)
		if _, err := readValues(flipped, sum); !errors.Is(err, store.ErrDamaged) {
			t.Fatalf("byte %d, bit %d: %v", at, at%8, err)
		}
	}
	for n := range file {
		if _, err := readValues(file[:n], sum); !errors.Is(err, store.ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v", n, len(file), err)
		}
	}
	if _, err := readValues(file, segment.Sum{}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("another sum: %v", err)
	}
}

func TestValuesTooLarge(t *testing.T) {
	t.Parallel()
	w := segment.NewValueWriter(&bytes.Buffer{})
	if err := w.Add("k", make([]byte, segment.MaxValueBytes+1)); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("value: %v", err)
	}
	if err := w.Add(string(make([]byte, segment.MaxKeyBytes+1)), nil); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("key: %v", err)
	}
	if err := w.Add("k", nil); err != nil {
		t.Errorf("after them: %v", err)
	}
}

// FuzzValues gives the reader of values any bytes; it may refuse them only as
// damage.
func FuzzValues(f *testing.F) {
	small, sum := valuesFile(f, []segment.Value{{Key: "a", Data: []byte("one")}})
	f.Add(small, sum[:])
	f.Fuzz(func(t *testing.T, file, sum []byte) {
		var want segment.Sum
		copy(want[:], sum)
		if _, err := readValues(file, want); err != nil && !errors.Is(err, store.ErrDamaged) {
			t.Fatalf("%v is not damage", err)
		}
	})
}
