package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"
)

// Ping reports whether Redis answers: nil or fault.Unavailable. Of a cluster every
// master must, and each must hold the cluster to be whole: a gateway that can serve a
// part of the logins is not ready.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return unavailable("ping", s.eachMaster(ctx, func(ctx context.Context, _ string, c *goredis.Client) error {
		if s.place.way != cluster {
			return c.Ping(ctx).Err()
		}
		state, err := c.ClusterInfo(ctx).Result()
		if err == nil && !strings.Contains(state, "cluster_state:ok") {
			err = errors.New("the cluster is down")
		}
		return err
	}))
}

// check refuses a Redis that would lose logins under way without a fault of its own.
func (s *Store) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.eachMaster(ctx, func(ctx context.Context, name string, c *goredis.Client) error {
		return errors.Join(s.checkWay(ctx, name, c), s.checkEviction(ctx, name, c))
	})
}

// checkWay compares how the server says it is run with the URL. Else a node of a
// cluster would pass for a single server until the first key of another node's.
func (s *Store) checkWay(ctx context.Context, name string, c *goredis.Client) error {
	answer, err := c.Do(ctx, "HELLO").Result()
	if err != nil && !refused(err) {
		return unavailable("hello", err)
	}
	about, _ := answer.(map[any]any)
	if about["mode"] == "cluster" && s.place.way != cluster {
		return fmt.Errorf("redis: %s is a node of a Cluster: write redis+cluster:// with several of its nodes", name)
	}
	if about["mode"] == "sentinel" && s.place.way != sentinel {
		return fmt.Errorf("redis: %s is a Sentinel: write redis+sentinel:// and what it calls the master", name)
	}
	return nil
}

// checkEviction wants maxmemory-policy noeviction: any other forgets logins under way
// as memory runs short, where noeviction refuses new ones. A service that forbids
// CONFIG has the operator's word for it.
func (s *Store) checkEviction(ctx context.Context, name string, c *goredis.Client) error {
	const setting = "maxmemory-policy"
	found, err := c.ConfigGet(ctx, setting).Result()
	switch {
	case refused(err):
		s.log.WarnContext(ctx, "redis does not tell its maxmemory-policy; see to it that it is noeviction",
			"server", name, "answer", err.Error())
		return nil
	case err != nil:
		return unavailable("config get", err)
	case found[setting] != "noeviction":
		return fmt.Errorf("redis: %s has maxmemory-policy %s, which forgets logins under way: set maxmemory-policy noeviction there",
			name, found[setting])
	}
	return nil
}

// refused reports whether a server answered, and with an error.
func refused(err error) bool {
	var answer goredis.Error
	return errors.As(err, &answer)
}

// eachMaster calls do for every master, with a name for it. There is one at least.
func (s *Store) eachMaster(ctx context.Context, do func(context.Context, string, *goredis.Client) error) error {
	switch c := s.client.(type) {
	case *goredis.ClusterClient:
		var found atomic.Bool
		err := c.ForEachMaster(ctx, func(ctx context.Context, c *goredis.Client) error {
			found.Store(true)
			return do(ctx, c.Options().Addr, c)
		})
		if err == nil && !found.Load() {
			err = errors.New("the cluster has no masters")
		}
		return err
	case *goredis.Client:
		name := s.place.master
		if name == "" {
			name = s.place.addresses[0]
		}
		return do(ctx, name, c)
	default:
		return fmt.Errorf("a client of type %T", c)
	}
}
