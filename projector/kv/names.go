package kv

import (
	"fmt"
	"strings"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// places are where a bucket is asked.
type places struct {
	bucket string
	stream string
	prefix string // of all subjects of the bucket
	all    string // matches them

	leaderGet string // where the stream's leader answers
	directGet string // where any replica answers
}

func placesOf(bucket string) places {
	stream, prefix := "KV_"+bucket, "$KV."+bucket+"."
	return places{
		bucket:    bucket,
		stream:    stream,
		prefix:    prefix,
		all:       prefix + ">",
		leaderGet: "$JS.API.STREAM.MSG.GET." + stream,
		directGet: "$JS.API.DIRECT.GET." + stream,
	}
}

// registryOf is the bucket of a namespace's registry. A key in it is the name of
// a view, the value its entry as JSON.
func registryOf(namespace string) places {
	return placesOf(RegistryBucket(namespace))
}

// RegistryBucket returns the name of the bucket that a namespace's registry is
// kept in.
func RegistryBucket(namespace string) string { return fmt.Sprintf("ANNALS_%s_projections", namespace) }

// names are those of a read model's bucket and what is in it. A key is one of
//
//	d.<token>           the document whose key store.EncodeToken turns into the token
//	c.<worker>          the worker's checkpoint
//	n.<worker>.<token>  the worker's note of that key, likewise
//
// and the prefixes keep what is of one kind from being taken for another.
type names struct {
	places
	model     projector.Model
	documents string // matches the subjects of documents
}

const (
	documentKey   = "d."
	checkpointKey = "c."
	noteKey       = "n."
)

func namesOf(namespace string, model projector.Model) names {
	at := placesOf(fmt.Sprintf("ANNALS_%s_view_%s", namespace, model))
	return names{places: at, model: model, documents: at.prefix + documentKey + ">"}
}

// document returns the subject of a document. The error is
// [store.EncodeToken]'s.
func (n names) document(key string) (string, error) {
	token, err := store.EncodeToken(key)
	if err != nil {
		return "", err
	}
	return n.prefix + documentKey + token, nil
}

func (n names) checkpoint(worker string) string { return n.prefix + checkpointKey + worker }

// note returns the subject of a worker's note; "*" is the token of all.
func (n names) note(worker, token string) string { return n.prefix + noteKey + worker + "." + token }

// anyCheckpoint matches the checkpoints of all workers.
const anyCheckpoint = "*"

func (n names) isDocument(subject string) bool {
	return strings.HasPrefix(subject, n.prefix+documentKey)
}

// key returns the key of the document that a subject is of; ok is false if it
// is no document's.
func (n names) key(subject string) (key string, ok bool, err error) {
	token, ok := strings.CutPrefix(subject, n.prefix+documentKey)
	if !ok {
		return "", false, nil
	}
	key, err = store.DecodeToken(token)
	if err != nil {
		return "", true, fmt.Errorf("bucket %s: key of a document: %w: %w", n.bucket, store.ErrDamaged, err)
	}
	return key, true, nil
}
