package jetstream

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

const manyObjects = 50 // more than the client's watch holds unread

// fillVault gives a vault one large object, and many small ones.
func fillVault(t *testing.T, v segment.Vault) (large []byte) {
	t.Helper()
	large = make([]byte, 1<<20)
	_, _ = rand.Read(large)
	if err := segment.WriteFile(t.Context(), v, "a/b", large); err != nil {
		t.Fatal(err)
	}
	for n := range manyObjects {
		if err := segment.WriteFile(t.Context(), v, fmt.Sprint("many/", n), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	return large
}

// stacksOf counts the goroutines that are in functions of such a name.
func stacksOf(part string) (n int) {
	b := make([]byte, 16<<20)
	b = b[:runtime.Stack(b, true)]
	for s := range bytes.SplitSeq(b, []byte("\n\n")) {
		if bytes.Contains(s, []byte(part)) {
			n++
		}
	}
	return n
}

// Whoever is in a hurry gets all or an error, whatever he is cut short in, and leaves
// no goroutine behind.
func TestVaultInAHurry(t *testing.T) {
	// Not parallel: it counts the goroutines of others, too.
	v := mustVault(t)
	large := fillVault(t, v)
	const tries = 400
	opened, listed := 0, 0
	for n := range tries {
		most := time.Duration(n) * 2500 * time.Nanosecond // up to a millisecond
		for _, hurry := range []func(func(context.Context) error) error{
			func(f func(context.Context) error) error {
				ctx, stop := context.WithTimeout(t.Context(), most)
				defer stop()
				return f(ctx)
			},
			func(f func(context.Context) error) error {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				defer time.AfterFunc(most, cancel).Stop()
				return f(ctx)
			},
		} {
			err := hurry(func(ctx context.Context) error {
				got, err := segment.ReadFile(ctx, v, "a/b", 4<<20)
				if err == nil && !bytes.Equal(got, large) {
					t.Error("it is another file")
				}
				return err
			})
			wantHurried(t, err, &opened)
			err = hurry(func(ctx context.Context) error {
				all, err := v.List(ctx, "many/")
				if err == nil && len(all) != manyObjects {
					t.Errorf("a list of %d of %d", len(all), manyObjects)
				}
				return err
			})
			wantHurried(t, err, &listed)
		}
	}
	t.Logf("of %d hurried, %d opened and %d listed", 2*tries, opened, listed)
	eventually(t, "no goroutine is left", func() bool { return stacksOf("jetstream.(*obs)")+stacksOf("jetstream.(*vault)") == 0 })
}

func wantHurried(t *testing.T, err error, done *int) {
	t.Helper()
	if err == nil {
		*done++
	} else if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrNotFound) {
		t.Errorf("not in time: %v", err)
	}
}

// A connection that is closed under its readers ends them, with an error.
func TestVaultConnectionCloses(t *testing.T) {
	// Not parallel: it counts the goroutines of others, too.
	full := mustVault(t).(*vault)
	large := fillVault(t, full)
	for n := range 50 {
		conn := connect(t, single.use(t)[0])
		v := newVault(conn, full.bucket)
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for {
					got, err := segment.ReadFile(t.Context(), v, "a/b", 4<<20)
					if err != nil {
						wantHurried(t, err, new(int))
						return
					}
					if !bytes.Equal(got, large) {
						t.Error("it is another file")
					}
				}
			})
			readers.Go(func() {
				for {
					all, err := v.List(t.Context(), "many/")
					if err != nil {
						wantHurried(t, err, new(int))
						return
					}
					if len(all) != manyObjects {
						t.Errorf("a list of %d of %d", len(all), manyObjects)
					}
				}
			})
		}
		time.AfterFunc(time.Duration(n)*300*time.Microsecond, conn.Close)
		readers.Wait()
	}
	eventually(t, "no goroutine is left", func() bool { return stacksOf("jetstream.(*obs)")+stacksOf("jetstream.(*vault)") == 0 })
}

// A draft that is thrown away, or whose context ends, leaves nothing in the bucket.
func TestVaultDraftLeavesNoParts(t *testing.T) {
	t.Parallel()
	v := mustVault(t).(*vault)
	for what, end := range map[string]func(segment.Draft, context.CancelFunc) error{
		"thrown away":                        func(d segment.Draft, _ context.CancelFunc) error { return d.Abort() },
		"its context ended":                  func(d segment.Draft, cancel context.CancelFunc) error { cancel(); return d.Close() },
		"its context ended, and thrown away": func(d segment.Draft, cancel context.CancelFunc) error { cancel(); return d.Abort() },
		"thrown away twice, and then closed": func(d segment.Draft, _ context.CancelFunc) error { return errors.Join(d.Abort(), d.Abort(), d.Close()) },
		"closed, and written to and so on": func(d segment.Draft, cancel context.CancelFunc) error {
			cancel()
			_ = d.Close()
			_, err := d.Write([]byte("x"))
			return errors.Join(err, d.Abort())
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		d, err := v.Create(ctx, "d")
		if err == nil {
			_, err = d.Write(make([]byte, 40*draftBuffer))
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Log(what, end(d, cancel))
		cancel()
		left, err := subjectsIn(t.Context(), v.conn, v.stream, ">")
		if err != nil || len(left) > 0 {
			t.Errorf("%s: %v, %v", what, left, err)
		}
	}
}

// The objects are those that every client of the server reads and writes.
func TestVaultOfClients(t *testing.T) {
	t.Parallel()
	v := mustVault(t).(*vault)
	js, err := natsjs.New(v.conn)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := js.ObjectStore(t.Context(), v.bucket)
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	if err := segment.WriteFile(t.Context(), v, "by/vault", content); err != nil {
		t.Fatal(err)
	}
	if got, err := objects.GetBytes(t.Context(), "by/vault"); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := objects.PutBytes(t.Context(), "by/client", content); err != nil {
		t.Fatal(err)
	}
	if got, err := segment.ReadFile(t.Context(), v, "by/client", 4<<20); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := objects.Delete(t.Context(), "by/client"); err != nil {
		t.Fatal(err)
	}
	if err := v.Remove(t.Context(), "by/vault"); err != nil {
		t.Fatal(err)
	}
	all, err := v.List(t.Context(), "")
	if err != nil || len(all) > 0 {
		t.Errorf("%v, %v", all, err)
	}
	if seen, err := objects.List(t.Context()); !errors.Is(err, natsjs.ErrNoObjectsFound) {
		t.Errorf("%v, %v", seen, err)
	}
	left, err := subjectsIn(t.Context(), v.conn, v.stream, v.parts("*"))
	if err != nil || len(left) > 0 {
		t.Errorf("parts that are left: %v, %v", left, err)
	}
}

// An object that is replaced while it is fetched is the old one or the new one.
func TestVaultReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	v := mustVault(t)
	contents := [][]byte{bytes.Repeat([]byte("a"), 2<<20), bytes.Repeat([]byte("b"), 2<<20)}
	if err := segment.WriteFile(t.Context(), v, "x", contents[0]); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		var err error
		for n := 1; n <= 40 && err == nil; n++ {
			err = segment.WriteFile(t.Context(), v, "x", contents[n%2])
		}
		done <- err
	}()
	for reads := 0; ; reads++ {
		got, err := segment.ReadFile(t.Context(), v, "x", 4<<20)
		if err != nil || !bytes.Equal(got, contents[0]) && !bytes.Equal(got, contents[1]) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d reads", reads)
			return
		default:
		}
	}
}

// What no replica answers for the leader is asked for; and what is missing or
// another is damage.
func TestVaultOfParts(t *testing.T) {
	t.Parallel()
	v := mustVault(t).(*vault)
	large := fillVault(t, v)
	far := newVault(v.conn, v.bucket)
	far.stream.directGet = "nobody." + v.bucket
	if got, err := segment.ReadFile(t.Context(), far, "a/b", 4<<20); err != nil || !bytes.Equal(got, large) {
		t.Errorf("from the leader: %d bytes of %d, %v", len(got), len(large), err)
	}
	info, err := v.info(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	js, err := natsjs.New(v.conn)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.Stream(t.Context(), v.stream.name)
	if err != nil {
		t.Fatal(err)
	}
	parts := "$O." + v.bucket + ".C." + info.NUID
	for _, step := range []struct {
		what  string
		parts [][]byte
	}{
		{"no parts", nil},
		{"other parts", [][]byte{large[1:], large[:1]}},
		{"fewer parts", [][]byte{large[:len(large)/2]}},
		{"too large a part", [][]byte{large[:100], large}},
	} {
		if err := bucket.Purge(t.Context(), natsjs.WithPurgeSubject(parts)); err != nil {
			t.Fatal(err)
		}
		for _, part := range step.parts {
			for r := bytes.NewReader(part); r.Len() > 0; {
				chunk, err := io.ReadAll(io.LimitReader(r, draftBuffer))
				if err == nil {
					_, err = js.Publish(t.Context(), parts, chunk)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if got, err := segment.ReadFile(t.Context(), v, "a/b", 4<<20); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %d bytes, %v", step.what, len(got), err)
		}
	}
}
