package kv

import (
	"fmt"
	"strings"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// names are those of one bucket and what is in it. A key is one of
//
//	d.<token>   the document whose key store.EncodeToken turns into the token
//	c.<worker>  the worker's checkpoint
//	n.<worker>.<token>  the worker's note of that key, likewise
//
// and the prefixes keep what is of one kind from being taken for another.
type names struct {
	model  projector.Model
	bucket string
	stream string
	prefix string // of all subjects of the bucket
	all    string // matches them

	documents string // matches the subjects of documents
	leaderGet string // where the stream's leader answers
	directGet string // where any replica answers
}

const (
	documentKey   = "d."
	checkpointKey = "c."
	noteKey       = "n."
)

func namesOf(namespace string, model projector.Model) names {
	bucket := fmt.Sprintf("ANNALS_%s_view_%s", namespace, model)
	stream, prefix := "KV_"+bucket, "$KV."+bucket+"."
	return names{
		model:     model,
		bucket:    bucket,
		stream:    stream,
		prefix:    prefix,
		all:       prefix + ">",
		documents: prefix + documentKey + ">",
		leaderGet: "$JS.API.STREAM.MSG.GET." + stream,
		directGet: "$JS.API.DIRECT.GET." + stream,
	}
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
