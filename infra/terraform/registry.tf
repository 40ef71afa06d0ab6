# The images' repositories, one for each image of docker/. A tag means the same image for ever, and each is scanned when pushed.

locals {
  images = ["orchestrator", "teacher", "student"]
}

resource "aws_ecr_repository" "image" {
  for_each = toset(local.images)

  name                 = "${var.name}-${each.key}"
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = aws_kms_key.this.arn
  }
}

resource "aws_ecr_lifecycle_policy" "image" {
  for_each = aws_ecr_repository.image

  repository = each.value.name

  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "The ten newest images; CUDA images have 10 GB each"
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 10 }
      action       = { type = "expire" }
    }]
  })
}
