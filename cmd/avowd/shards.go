package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"go.yaml.in/yaml/v3"

	"github.com/avow-dev/avow/internal/trustroot"
	"github.com/avow-dev/avow/server"
	"github.com/avow-dev/avow/server/tlog"
)

// maxShardsBytes is the largest list of shards that is read.
const maxShardsBytes = 64 << 10

// ShardList is shards.yaml: the other shards of the service, for the signing config. When each is in use the trusted root says.
type ShardList struct {
	// Shards are the others, in any order.
	Shards []Shard `yaml:"shards"`
}

// Shard is another instance of the service with a log of its own.
type Shard struct {
	// Origin is the log's name.
	Origin string `yaml:"origin"`
	// PublicURL is under which address its REST listener is reached; empty: Sigstore clients do not write there.
	PublicURL string `yaml:"publicUrl"`
	// Timestamps tells that it answers RFC 3161 requests itself.
	Timestamps bool `yaml:"timestamps"`
}

const shardsHeader = `# The other shards of this service. Written by avowd shard next; when each is in use the trusted root says.
`

// operator is who runs the service, as Sigstore clients are told.
func (c *Config) operator() string {
	if c.Operator != "" {
		return c.Operator
	}
	return c.Origin
}

// shardList reads the other shards; none where the file is not there.
func (c *Config) shardList() (*ShardList, error) {
	list := &ShardList{}
	if c.Shards == "" {
		return list, nil
	}
	path := c.path(c.Shards)
	data, err := readLimited(path, maxShardsBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	if err == nil {
		err = decodeStrictly(data, list)
	}
	if err == nil {
		err = list.validate()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

func (l *ShardList) validate() error {
	seen := map[string]bool{}
	for i, s := range l.Shards {
		if err := tlog.ValidateOrigin(s.Origin); err != nil {
			return fmt.Errorf("shards[%d].origin: %w", i, err)
		}
		if seen[s.Origin] {
			return fmt.Errorf("shards[%d]: %s is listed twice", i, s.Origin)
		}
		seen[s.Origin] = true
		if s.PublicURL == "" {
			continue
		}
		if _, err := server.ParsePublicURL(s.PublicURL); err != nil {
			return fmt.Errorf("shards[%d].publicUrl: %w", i, err)
		}
	}
	return nil
}

func (l *ShardList) marshal() ([]byte, error) {
	text, err := yaml.Marshal(l)
	return append([]byte(shardsHeader), text...), err
}

// otherShards are the shards that Sigstore clients can write to, each in the window of its log. One that the trusted root
// does not name is not offered: what is written there nobody could verify.
func (c *Config) otherShards(root *trustroot.Root) ([]server.SigningShard, error) {
	list, err := c.shardList()
	if err != nil {
		return nil, err
	}
	var all []server.SigningShard
	for _, s := range list.Shards {
		log, err := root.Find("log:" + s.Origin)
		if err != nil || s.PublicURL == "" {
			continue
		}
		all = append(all, server.SigningShard{PublicURL: s.PublicURL, Start: log.Start, End: log.End, OwnAuthority: s.Timestamps})
	}
	return all, nil
}

// addShard lists a shard, in memory.
func (l *ShardList) addShard(s Shard) {
	for i := range l.Shards {
		if l.Shards[i].Origin == s.Origin {
			l.Shards[i] = s
			return
		}
	}
	l.Shards = append(l.Shards, s)
}

// shard describes this instance for the lists of others.
func (c *Config) shard() Shard {
	s := Shard{Origin: c.Origin, Timestamps: c.Timestamps.Embedded.Chain != ""}
	if c.Rekor.Enabled {
		s.PublicURL = c.PublicURL
	}
	return s
}

// replaceOrCreate writes a file completely or not at all, whether it is there or not.
func replaceOrCreate(path string, data []byte) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return writeNew(path, data, 0o644)
	}
	return replaceFile(path, data)
}
