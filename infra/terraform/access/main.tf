# Who may do what in the artefact store, and what nobody may. No provider is used here, so Terraform itself can evaluate these
# policies without an account: tests/infra/test_terraform.py does, and asks them about the keys that runs really use.
#
#   {store}/{kind}/{fingerprint}/...                    artefacts; record.json is written last and makes them complete
#   {store}/attempts/{kind}/{fingerprint}/...           how far the attempts at one came that is not complete yet
#   {store}/ledger/{namespace}/{rows,log,index,void}    the teachers' answers, row by row
#   {store}/batches/, partitions/                       batches at an endpoint, and how a generation was divided
#   {store}/checkpoints/student/{fingerprint}/...       of trainings that are not finished
#   {store}/prefect/, probe/                            Prefect's small results, and the test that nothing is overwritten
#   inputs/                                             prompts, put there by people

locals {
  kinds = ["prompts", "model", "preflight", "generations", "dataset", "student", "evaluation", "report"]
  rows  = ["ledger", "batches", "partitions", "probe"] # what answering writes besides its artefact

  # makes: kinds of artefacts that it writes, and reads. reads: further kinds. judges: kinds whose damaged records it sets aside.
  # shares: folders that it reads and writes. removes: what it deletes in them.
  roles = {
    # Runs, and stages without a GPU. It makes no student, no evaluation and no checkpoint: it cannot forge what the report judges.
    # It sees whether a stage has to run, so it sets every kind's damaged records aside.
    orchestrator = {
      makes   = ["prompts", "model", "preflight", "generations", "dataset", "report"]
      judges  = local.kinds
      reads   = ["student", "evaluation"]
      shares  = concat(local.rows, ["prefect"])
      removes = ["batches/*", "probe/*", "ledger/*/index/*"] # a damaged index segment is written anew from the log
      inputs  = true
    }
    # Teachers: answering and being tested. It reads students, because an adapted teacher is one, and writes none; it cannot
    # change a model, a prompt, a dataset or a report, and sees no inputs.
    teacher = {
      makes   = ["generations", "evaluation"]
      judges  = ["generations", "evaluation"]
      reads   = ["prompts", "model", "student"]
      shares  = concat(local.rows, ["prefect"])
      removes = ["batches/*", "probe/*", "ledger/*/index/*"]
      inputs  = false
    }
    # Students: converting, looking ahead, cutting down, training, testing; adapting a teacher too, which is a training. It reads
    # all artefacts, because a training on several machines looks up a whole run, but neither ledger nor inputs; it writes no
    # answer, dataset or report.
    student = {
      makes   = ["model", "preflight", "student", "evaluation"]
      judges  = ["model", "preflight", "student", "evaluation"]
      reads   = ["prompts", "generations", "dataset", "report"]
      shares  = ["checkpoints", "prefect"]
      removes = ["checkpoints/*"]
      inputs  = false
    }
  }

  bucket = "arn:${var.partition}:s3:::${var.bucket}"
  store  = "${local.bucket}/${var.store_prefix}"

  look = {
    # Without it S3 answers 403 for an object that is not there, which a store must not mistake for a failure; and it cannot be
    # narrowed to folders for that purpose, for a request for one object has no s3:prefix. Names are kinds and hashes.
    Sid      = "ListNames"
    Effect   = "Allow"
    Action   = ["s3:ListBucket"]
    Resource = local.bucket
  }

  encryption = {
    for name, actions in { use = ["kms:Decrypt", "kms:GenerateDataKey"], read = ["kms:Decrypt"] } : name => {
      Sid                      = "ThroughThisBucketOnly"
      Effect                   = "Allow"
      Action                   = actions
      Resource                 = var.key_arn
      Condition = {
        StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" }
        StringLike   = { "kms:EncryptionContext:aws:s3:arn" = [local.bucket, "${local.bucket}/*"] }
      }
    }
  }

  policies = {
    for name, role in local.roles : name => [
      local.look,
      local.encryption.use,
      {
        Sid    = "Read"
        Effect = "Allow"
        Action = ["s3:GetObject"]
        Resource = concat(
          [for folder in concat(role.makes, role.reads, role.shares) : "${local.store}/${folder}/*"],
          [for kind in role.makes : "${local.store}/attempts/${kind}/*"],
          role.inputs ? ["${local.bucket}/inputs/*"] : [],
        )
      },
      {
        Sid    = "Write"
        Effect = "Allow"
        Action = ["s3:PutObject", "s3:AbortMultipartUpload"]
        Resource = concat(
          [for folder in concat(role.makes, role.shares) : "${local.store}/${folder}/*"],
          [for kind in role.makes : "${local.store}/attempts/${kind}/*"],
          [for kind in setsubtract(role.judges, role.makes) : "${local.store}/${kind}/*/damaged-*.json"],
        )
      },
      {
        Sid    = "Remove" # of an artefact only its record, when it was found damaged: then it is made anew
        Effect = "Allow"
        Action = ["s3:DeleteObject"]
        Resource = concat(
          [for kind in role.judges : "${local.store}/${kind}/*/record.json"],
          [for kind in role.makes : "${local.store}/attempts/${kind}/*"], # once their figures are in the record
          [for pattern in role.removes : "${local.store}/${pattern}"],
        )
      },
    ]
  }

  # The garbage collection alone may remove artefacts. It writes nothing, and even it can remove no old version of an object:
  # what it removed can be brought back for as long as the bucket keeps old versions.
  collector = [
    local.look,
    local.encryption.read,
    {
      Sid      = "FindUnfinishedUploads"
      Effect   = "Allow"
      Action   = ["s3:ListBucketMultipartUploads"]
      Resource = local.bucket
    },
    {
      Sid      = "Collect"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
      Resource = "${local.store}/*"
    },
    {
      Sid      = "NeverPaidWork"
      Effect   = "Deny"
      Action   = ["s3:DeleteObject"]
      Resource = ["${local.store}/ledger/*/log/*", "${local.store}/ledger/*/void/*"]
    },
  ]

  bucket_policy = [
    {
      Sid       = "TLSOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.bucket, "${local.bucket}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    },
    {
      # Runs ask for it themselves (If-None-Match). Here S3 insists: no role, and no person, replaces a finished artefact's record
      # or a committed row.
      Sid       = "CreateOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObject"
      Resource  = ["${local.store}/*/record.json", "${local.store}/ledger/*/log/*", "${local.store}/ledger/*/void/*"]
      Condition = {
        Null = { "s3:if-none-match" = "true" }
        Bool = { "s3:ObjectCreationOperation" = "true" } # not the single parts of an upload, which carry no condition
      }
    },
  ]
}
