package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

var (
	// errNoKeys says that there is no stream of keys at all.
	errNoKeys = errors.New("there is no key store")
	// errSealed says that the keys are being moved to the next epoch.
	errSealed = errors.New("the keys are being moved")
)

// current returns the epoch that counts: the first that is ready. So nobody reads the
// next one while somebody may still read this one.
func (k *Keys) current(ctx context.Context) (*keysEpoch, error) {
	k.mu.Lock()
	e := k.epoch
	k.mu.Unlock()
	if e != nil {
		return e, nil
	}
	found, realm, err := k.find(ctx)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.realm == uuid.Nil {
		k.realm = realm
	}
	if k.realm != realm {
		return nil, fmt.Errorf("%w: the keys of realm %s are gone, and those of %s in their place", store.ErrDamaged, k.realm, realm)
	}
	if k.last == nil || k.last.number != found.number {
		found.durable.barrier = k.cfg.Barrier
		k.last = found
	}
	k.epoch = k.last
	return k.epoch, nil
}

// leave has the epoch looked for anew, unless that was done already.
func (k *Keys) leave(e *keysEpoch) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.epoch != nil && k.epoch.number == e.number {
		k.epoch = nil
	}
}

// find looks for the first epoch that is ready. One that is gone when it is its turn
// has a successor, which was made ready before.
func (k *Keys) find(ctx context.Context) (*keysEpoch, uuid.UUID, error) {
	numbers, err := k.epochs(ctx)
	if err != nil {
		return nil, uuid.Nil, err
	}
	if len(numbers) == 0 {
		return nil, uuid.Nil, errNoKeys
	}
	for i, number := range numbers {
		e := newKeysEpoch(k.cfg.Namespace, number)
		info, err := k.info(ctx, e, nil)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, uuid.Nil, err
		}
		realm, err := verifyKeys(k.cfg, e, info.Config)
		if err != nil {
			return nil, uuid.Nil, err
		}
		switch info.Config.Metadata[metaState] {
		case stateRestoring:
			e.replicas, err = info.Config.Replicas, nil
			if !k.cfg.Fill {
				err = unfinishedKeys(e)
			}
			return e, realm, err
		case stateReady:
			e.replicas = info.Config.Replicas
			return e, realm, k.isFirst(ctx, e, info, numbers[i+1:])
		}
	}
	return nil, uuid.Nil, fmt.Errorf("%w: no stream of keys is complete", store.ErrUnavailable)
}

// isFirst refuses an epoch that takes records although a later one is ready: somebody has
// brought back a stream that a rotation had deleted, with keys that were erased since.
func (k *Keys) isFirst(ctx context.Context, e *keysEpoch, info keysInfo, later []uint64) error {
	if info.Config.Sealed {
		return nil
	}
	for _, number := range later {
		next, err := k.info(ctx, newKeysEpoch(k.cfg.Namespace, number), nil)
		if gone(err) || err == nil && next.Config.Metadata[metaState] != stateReady {
			continue
		}
		if err == nil {
			info, err = k.info(ctx, e, nil) // it may have been rotated since
		}
		if err == nil && !info.Config.Sealed {
			err = fmt.Errorf("%w: the keys of %s were moved to epoch %d, and stream %s came back: delete it", store.ErrDamaged, k.cfg.Namespace, number, e.stream.name)
		}
		return err
	}
	return nil
}

// epochs returns which epochs have a stream, in order.
func (k *Keys) epochs(ctx context.Context) ([]uint64, error) {
	streams, err := KeyStreams(ctx, k.cfg.Conn, k.cfg.Namespace)
	var numbers []uint64
	for _, name := range streams {
		if number, is := epochIn(k.cfg.Namespace, name); is {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, err
}

// KeyStreams returns the names of the streams that have keys of a namespace's data
// subjects, for those who remove the namespace: none, one, or two while the keys are
// rotated. The error matches [store.ErrUnavailable].
func KeyStreams(ctx context.Context, conn *nats.Conn, namespace string) ([]string, error) {
	var all []string
	for {
		var page struct {
			Error   *apiError `json:"error"`
			Streams []string  `json:"streams"`
			Total   int       `json:"total"`
		}
		request := fmt.Appendf(nil, `{"subject":%q,"offset":%d}`, namespace+".key.>", len(all))
		m, err := conn.RequestWithContext(ctx, "$JS.API.STREAM.NAMES", request)
		if err == nil {
			err = json.Unmarshal(m.Data, &page)
		}
		if err == nil && page.Error != nil {
			err = page.Error
		}
		if err != nil {
			return nil, fmt.Errorf("list streams of keys: %w", unavailable(err))
		}
		all = append(all, page.Streams...)
		if len(page.Streams) == 0 || len(all) >= page.Total {
			break
		}
	}
	return slices.DeleteFunc(all, func(name string) bool {
		_, is := epochIn(namespace, name)
		return !is
	}), nil
}

// create makes the stream of the first epoch. Who comes second finds the first's.
func (k *Keys) create(ctx context.Context) error {
	realm := k.cfg.Realm
	if realm == uuid.Nil {
		realm = uuid.New()
	}
	err := k.make(ctx, keysConfig(k.cfg, newKeysEpoch(k.cfg.Namespace, 1), realm, k.cfg.state()))
	if errors.Is(err, natsjs.ErrStreamNameAlreadyInUse) {
		return nil
	}
	return err
}

func (k *Keys) make(ctx context.Context, config natsjs.StreamConfig) error {
	js, err := natsjs.New(k.cfg.Conn)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	return patiently(ctx, func(ctx context.Context) error {
		k.cfg.Changing()
		_, err := js.CreateStream(ctx, config)
		return err
	})
}

// keysInfo is what the server says of a stream of keys.
type keysInfo struct {
	Error  *apiError           `json:"error"`
	Config natsjs.StreamConfig `json:"config"`
	State  struct {
		LastSequence uint64            `json:"last_seq"`
		Count        int               `json:"num_subjects"`
		Subjects     map[string]uint64 `json:"subjects"`
	} `json:"state"`
}

func (k *Keys) info(ctx context.Context, e *keysEpoch, request []byte) (info keysInfo, err error) {
	m, err := k.cfg.Conn.RequestWithContext(ctx, e.stream.info, request)
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(m.Data, &info); err != nil {
		return info, fmt.Errorf("unreadable answer: %w", err)
	}
	if info.Error != nil {
		return info, info.Error
	}
	return info, nil
}

// fetch asks the leader for one message, once. errNone: it has none.
func (k *Keys) fetch(ctx context.Context, e *keysEpoch, request []byte) (*message, error) {
	answer, err := k.cfg.Conn.RequestWithContext(ctx, e.stream.leaderGet, request)
	if err != nil {
		return nil, err
	}
	m, err := readStored(answer, false)
	if err == nil {
		e.durable.see(m.sequence)
	}
	return m, err
}

// firmly does something in the current epoch, again while nobody answers, and in the
// next one when the keys were moved there. Every error is final or matches
// [store.ErrUnavailable].
func (k *Keys) firmly(ctx context.Context, do func(context.Context, *keysEpoch) error) error {
	patience, cancel := context.WithTimeout(ctx, keysPatience)
	defer cancel()
	for try := 0; ; try++ {
		if ctx.Err() != nil {
			return unavailable(context.Cause(ctx))
		}
		err := k.once(patience, do)
		if err == nil || final(err) {
			return err
		}
		if k.cfg.Conn.IsClosed() || pause(patience, try) != nil {
			return unavailable(err)
		}
	}
}

func (k *Keys) once(ctx context.Context, do func(context.Context, *keysEpoch) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	e, err := k.current(ctx)
	if err != nil {
		return err
	}
	if err = do(ctx, e); err != nil {
		k.leave(e)
	}
	return err
}

// final reports whether an error will not pass.
func final(err error) bool {
	for _, kind := range []error{store.ErrConflict, store.ErrUnknown, store.ErrInvalid, store.ErrTooLarge, store.ErrDamaged, store.ErrRefused, errNone} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// gone reports whether the server says that there is no such stream.
func gone(err error) bool {
	var api *apiError
	return errors.As(err, &api) && api.ErrCode == codeStreamNotFound
}
