package jetstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// draftBuffer is how much of an object is collected into one message: what the
// server keeps objects in by default.
const draftBuffer = 128 << 10

// fetchWait is how long fetching one object may take, which may be some ten MiB on
// a slow line. Without a deadline the client would allow all of it five seconds.
const fetchWait = 2 * time.Minute

// vault is a segment.Vault in an object store.
type vault struct {
	bucket  string
	objects natsjs.ObjectStore
}

// OpenVault returns the vault in an object store of the server, which it makes
// with so many replicas if it is not there. An object is there whole or not at
// all; a process that ends while it writes one leaves parts of it that nobody
// sees. The server knows no access to the middle of an object: Open fetches it
// into a temporary file. The error matches [store.ErrUnavailable] if the server
// cannot be asked, [store.ErrInvalid] if it takes no such name or keeps fewer
// replicas than that: what is moved there may be the only copy.
func OpenVault(ctx context.Context, conn *nats.Conn, bucket string, replicas int) (segment.Vault, error) {
	js, err := natsjs.New(conn)
	if err != nil {
		return nil, fmt.Errorf("open object store %s: %w", bucket, unavailable(err))
	}
	objects, err := js.ObjectStore(ctx, bucket)
	if errors.Is(err, natsjs.ErrBucketNotFound) {
		objects, err = js.CreateObjectStore(ctx, natsjs.ObjectStoreConfig{
			Bucket: bucket, Description: "Annals: files of commits", Storage: natsjs.FileStorage, Replicas: replicas,
		})
		if errors.Is(err, natsjs.ErrBucketExists) {
			objects, err = js.ObjectStore(ctx, bucket)
		}
	}
	switch {
	case errors.Is(err, natsjs.ErrInvalidStoreName):
		return nil, &store.InvalidError{What: "name of an object store", Value: bucket, Reason: "want letters, digits, hyphens and underscores"}
	case err != nil:
		return nil, fmt.Errorf("open object store %s: %w", bucket, unavailable(err))
	}
	status, err := objects.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("open object store %s: %w", bucket, unavailable(err))
	}
	if has := status.Replicas(); has < replicas {
		reason := fmt.Sprintf("it keeps %d copies, want %d: nats stream edit OBJ_%s --replicas %d", has, replicas, bucket, replicas)
		return nil, &store.InvalidError{What: "object store", Value: bucket, Reason: reason}
	}
	return &vault{bucket: bucket, objects: objects}, nil
}

// String names the object store.
func (v *vault) String() string { return "nats object store " + v.bucket }

func (v *vault) failed(doing, name string, err error) error {
	kind := store.ErrUnavailable
	switch {
	case errors.Is(err, natsjs.ErrObjectNotFound):
		kind = store.ErrNotFound
	case errors.Is(err, natsjs.ErrDigestMismatch):
		kind = store.ErrDamaged
	}
	return fmt.Errorf("%s %s: %w: %w", doing, name, kind, err)
}

// Create implements [segment.Vault]. The object is sent while it is written.
func (v *vault) Create(ctx context.Context, name string) (segment.Draft, error) {
	if err := segment.ValidateName(name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	reader, writer := io.Pipe()
	d := &objectDraft{vault: v, name: name, pipe: writer, buffer: bufio.NewWriterSize(writer, draftBuffer), sent: make(chan error, 1)}
	go func() {
		_, err := v.objects.Put(ctx, natsjs.ObjectMeta{Name: name}, reader)
		_ = reader.CloseWithError(err)
		d.sent <- err
	}()
	return d, nil
}

// objectDraft is an object that is being sent.
type objectDraft struct {
	vault  *vault
	name   string
	pipe   *io.PipeWriter
	buffer *bufio.Writer
	sent   chan error // what became of it
	done   bool
}

// Write implements [segment.Draft].
func (d *objectDraft) Write(b []byte) (int, error) {
	n, err := d.buffer.Write(b)
	if err != nil {
		err = d.vault.failed("write", d.name, err)
	}
	return n, err
}

// Close implements [segment.Draft].
func (d *objectDraft) Close() error {
	if d.done {
		return os.ErrClosed
	}
	d.done = true
	err := d.buffer.Flush()
	_ = d.pipe.CloseWithError(err) // nil is the end of the object
	if sent := <-d.sent; sent != nil {
		return d.vault.failed("write", d.name, sent)
	}
	return nil
}

var errAborted = errors.New("the draft is thrown away")

// Abort implements [segment.Draft].
func (d *objectDraft) Abort() error {
	if d.done {
		return nil
	}
	d.done = true
	_ = d.pipe.CloseWithError(errAborted)
	if err := <-d.sent; !errors.Is(err, errAborted) {
		return d.vault.failed("abort", d.name, err)
	}
	return nil
}

// Open implements [segment.Vault].
func (v *vault) Open(ctx context.Context, name string) (segment.File, error) {
	if err := segment.ValidateName(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchWait)
	defer cancel()
	object, err := v.objects.Get(ctx, name)
	if err != nil {
		return nil, v.failed("open", name, err)
	}
	file, err := os.CreateTemp("", "annals-object-*")
	if err != nil {
		return nil, errors.Join(v.failed("open", name, err), object.Close())
	}
	// Where the system lets an open file go without its name, a process that is
	// killed leaves none behind.
	f := &fetched{File: file, named: os.Remove(file.Name()) != nil}
	f.size, err = io.Copy(file, object)
	if err = errors.Join(err, object.Close()); err != nil {
		_ = f.Close()
		if ctx.Err() != nil {
			err = ctx.Err() // what was cut off has another check sum, too
		}
		return nil, v.failed("open", name, err)
	}
	return f, nil
}

// fetched is an object in a temporary file.
type fetched struct {
	*os.File
	size  int64
	named bool // still to be removed
}

// Size implements [segment.File].
func (f *fetched) Size() int64 { return f.size }

// Close implements [segment.File]. It removes the file.
func (f *fetched) Close() error {
	err := f.File.Close()
	if f.named {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// List implements [segment.Vault].
func (v *vault) List(ctx context.Context, prefix string) ([]segment.Entry, error) {
	infos, err := v.objects.List(ctx)
	if err != nil && !errors.Is(err, natsjs.ErrNoObjectsFound) {
		return nil, v.failed("list", v.String(), err)
	}
	var all []segment.Entry
	for _, o := range infos {
		if strings.HasPrefix(o.Name, prefix) {
			all = append(all, segment.Entry{Name: o.Name, Size: int64(o.Size), Time: o.ModTime.UTC()})
		}
	}
	slices.SortFunc(all, func(a, b segment.Entry) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Remove implements [segment.Vault].
func (v *vault) Remove(ctx context.Context, name string) error {
	if err := segment.ValidateName(name); err != nil {
		return err
	}
	err := v.objects.Delete(ctx, name)
	if err != nil && !errors.Is(err, natsjs.ErrObjectNotFound) {
		return v.failed("remove", name, err)
	}
	return nil
}
