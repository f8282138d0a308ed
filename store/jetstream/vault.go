package jetstream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// infosAtOnce is how many objects are asked after at a time.
const infosAtOnce = 16

// vault is a segment.Vault in an object store, kept as every client of the server
// keeps one. It needs no goroutine: cut short in the wrong moment the client's own
// Get, Put and List leave one behind for ever, and List may take a part for all.
type vault struct {
	bucket string
	conn   *nats.Conn
	stream kept
	delete string
	erases bool // what is removed is overwritten
}

// OpenVault returns the vault in an object store of the server, which it makes
// with so many replicas if it is not there. An object is there whole or not at
// all; a process that ends while it writes one leaves parts of it that nobody
// sees. The server knows no access to the middle of an object: Open fetches it
// into a temporary file. The error matches [store.ErrUnavailable] if the server
// cannot be asked, [store.ErrInvalid] if it takes no such name or keeps fewer
// replicas than that: what is moved there may be the only copy.
//
// What is removed stays in blocks of the server's files for a while: [OpenErasingVault].
func OpenVault(ctx context.Context, conn *nats.Conn, bucket string, replicas int) (segment.Vault, error) {
	v, err := openVault(ctx, conn, bucket, replicas)
	if err != nil {
		return nil, err
	}
	return v, nil
}

func openVault(ctx context.Context, conn *nats.Conn, bucket string, replicas int) (*vault, error) {
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
	return newVault(conn, bucket), nil
}

func newVault(conn *nats.Conn, bucket string) *vault {
	return &vault{bucket: bucket, conn: conn, stream: keptIn("OBJ_" + bucket), delete: "$JS.API.STREAM.MSG.DELETE.OBJ_" + bucket}
}

// String names the object store.
func (v *vault) String() string { return "nats object store " + v.bucket }

func (v *vault) failed(doing, name string, err error) error {
	switch {
	case errors.Is(err, store.ErrDamaged), errors.Is(err, store.ErrUnavailable):
		return fmt.Errorf("%s %s: %w", doing, name, err)
	case errors.Is(err, natsjs.ErrObjectNotFound):
		return fmt.Errorf("%s %s: %w: %w", doing, name, store.ErrNotFound, err)
	}
	return fmt.Errorf("%s %s: %w: %w", doing, name, store.ErrUnavailable, err)
}

// List implements [segment.Vault].
func (v *vault) List(ctx context.Context, prefix string) ([]segment.Entry, error) {
	names, err := v.names(ctx, prefix)
	if err != nil {
		return nil, v.failed("list", v.String(), err)
	}
	found := make([]*natsjs.ObjectInfo, len(names))
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(infosAtOnce)
	for i, name := range names {
		g.Go(func() (err error) {
			if found[i], err = v.info(within, name); errors.Is(err, natsjs.ErrObjectNotFound) {
				err = nil // it was removed
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, v.failed("list", v.String(), err)
	}
	var all []segment.Entry
	for _, o := range found {
		if o != nil {
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
	info, err := v.info(ctx, name)
	if errors.Is(err, natsjs.ErrObjectNotFound) {
		return nil
	}
	if err == nil {
		err = v.remove(ctx, info)
	}
	if err != nil {
		return v.failed("remove", name, err)
	}
	return nil
}

// remove keeps the name of what is to be erased until it is: whoever repeats it must find it.
func (v *vault) remove(ctx context.Context, info *natsjs.ObjectInfo) error {
	parts := info.NUID
	info.Deleted, info.Size, info.Chunks, info.Digest = true, 0, 0, ""
	if v.erases {
		if err := v.takeAway(ctx, parts); err != nil {
			return err
		}
	}
	err := v.name(ctx, info)
	if err == nil && !v.erases {
		err = v.takeAway(ctx, parts)
	}
	return err
}

// metas is what the subjects begin with that say what objects there are.
func (v *vault) metas() string { return "$O." + v.bucket + ".M." }

func (v *vault) meta(name string) string {
	return v.metas() + base64.URLEncoding.EncodeToString([]byte(name))
}

// parts is the subject of the parts of an object, by its id.
func (v *vault) parts(id string) string { return "$O." + v.bucket + ".C." + id }

// info returns what the leader knows of an object: [natsjs.ErrObjectNotFound] if there is
// none.
func (v *vault) info(ctx context.Context, name string) (*natsjs.ObjectInfo, error) {
	m, err := v.ask(ctx, lastOn(v.meta(name)))
	if errors.Is(err, errNone) {
		return nil, natsjs.ErrObjectNotFound
	}
	if err != nil {
		return nil, err
	}
	info := &natsjs.ObjectInfo{}
	if err := json.Unmarshal(m.data, info); err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	if info.Deleted {
		return nil, natsjs.ErrObjectNotFound
	}
	info.ModTime = m.stored
	return info, nil
}

// names returns the names that begin with a prefix, also of objects that were removed.
func (v *vault) names(ctx context.Context, prefix string) (names []string, err error) {
	subjects, err := subjectsIn(ctx, v.conn, v.stream, v.metas()+">")
	for _, s := range subjects {
		name, err := base64.URLEncoding.DecodeString(strings.TrimPrefix(s, v.metas()))
		if err == nil && strings.HasPrefix(string(name), prefix) {
			names = append(names, string(name))
		}
	}
	return names, err
}

// ask asks the leader for one message, again while nobody can answer, within the
// patience of a read. errNone: there is none.
func (v *vault) ask(ctx context.Context, request []byte) (m *message, err error) {
	err = persistently(ctx, func(ctx context.Context) error {
		answer, err := v.conn.RequestWithContext(ctx, v.stream.leaderGet, request)
		if err == nil {
			m, err = readStored(answer, false)
		}
		return err
	})
	return m, err
}

// name gives an object its name, or marks it as removed, in the place of what has
// the name. The same may be said again, so a lost answer is asked for again.
func (v *vault) name(ctx context.Context, info *natsjs.ObjectInfo) error {
	info.ModTime = time.Time{} // the server's
	data, err := json.Marshal(info)
	if err != nil {
		return err
	}
	return persistently(ctx, func(ctx context.Context) error {
		m := nats.NewMsg(v.meta(info.Name))
		m.Header.Set(natsjs.MsgRollup, natsjs.MsgRollupSubject)
		m.Data = data
		answer, err := v.conn.RequestMsgWithContext(ctx, m)
		if err == nil {
			err = readAnswer(answer).reason
		}
		return err
	})
}

// purge takes the parts of an object away that nobody names any more. If it cannot
// they stay, and nobody sees them.
func (v *vault) purge(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	_, _ = v.conn.RequestWithContext(ctx, v.stream.purge, fmt.Appendf(nil, `{"filter":%q}`, v.parts(id)))
}
