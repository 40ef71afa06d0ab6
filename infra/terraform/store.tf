# The bucket: artefacts of all runs under one prefix, prompts that runs read under inputs/. What is deleted can be brought back for
# `noncurrent_days`; records and ledger entries can never be overwritten, whoever tries (access/main.tf has the bucket's policy).

resource "aws_s3_bucket" "store" {
  #checkov:skip=CKV_AWS_18:who read what is CloudTrail's S3 data events, which an account switches on for all its buckets
  #checkov:skip=CKV_AWS_144:artefacts can be made anew; a second region would double the cost of weights and answers
  #checkov:skip=CKV2_AWS_62:nothing waits for events of the bucket
  bucket = "${var.name}-${local.account}-${var.region}"
}

resource "aws_s3_bucket_versioning" "store" {
  bucket = aws_s3_bucket.store.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "store" {
  bucket = aws_s3_bucket.store.id

  rule {
    bucket_key_enabled = true # one call of KMS for many objects

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.this.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "store" {
  bucket                  = aws_s3_bucket.store.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "store" {
  bucket = aws_s3_bucket.store.id

  rule {
    object_ownership = "BucketOwnerEnforced" # no access lists of single objects
  }
}

resource "aws_s3_bucket_policy" "store" {
  bucket     = aws_s3_bucket.store.id
  policy     = module.access.bucket_policy
  depends_on = [aws_s3_bucket_public_access_block.store]
}

resource "aws_s3_bucket_lifecycle_configuration" "store" {
  bucket     = aws_s3_bucket.store.id
  depends_on = [aws_s3_bucket_versioning.store]

  rule {
    id     = "abort-uploads-of-killed-runs"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 3
    }
  }

  rule {
    id     = "drop-what-was-deleted"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  # Checkpoints are replaced every few minutes: a month of old ones would cost more than the student.
  rule {
    id     = "drop-old-checkpoints-soon"
    status = "Enabled"

    filter {
      prefix = "${var.store_prefix}/checkpoints/"
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }
}
