"""Records of a whole archive over a cluster: `heartlens.distributed.ray` and `heartlens.distributed.spark`.

Both write the tables `beats`, `records` and `errors` as a folder of Parquet files (`docs/tables.md`), with the bits of
``heartlens classify --tables``. A record that cannot be read is a row in `errors`. A run that is started again does what is
missing.

    import heartlens.distributed.ray

    done = heartlens.distributed.ray.classify("s3://archive/holters", out="s3://archive/tables")
    print(done.records, done.errors, done.beats)

``pip install 'heartlens[ray]'`` or ``'heartlens[spark]'`` bring what they need.
"""

from heartlens.distributed._run import Done

__all__ = ["Done"]
