# The Prefect server's Postgres: flow runs, schedules, logs. No artefact is in it; were it lost, the store would still have all
# work. The password is yours and goes to two places, here and into a Kubernetes secret: one that RDS managed and rotated every
# week would lock the server out.

resource "aws_db_subnet_group" "prefect" {
  name       = "${var.name}-prefect"
  subnet_ids = [for subnet in aws_subnet.private : subnet.id]
}

resource "aws_security_group" "database" {
  name        = "${var.name}-database"
  description = "Postgres, for the cluster's nodes and pods alone"
  vpc_id      = aws_vpc.this.id
  tags        = { Name = "${var.name}-database" }
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  security_group_id            = aws_security_group.database.id
  referenced_security_group_id = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
  description                  = "Postgres from the cluster"
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_db_parameter_group" "prefect" {
  name   = "${var.name}-prefect"
  family = "postgres17"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "1000" # milliseconds
  }
}

resource "aws_cloudwatch_log_group" "database" {
  name              = "/aws/rds/instance/${var.name}-prefect/postgresql" # RDS would make it without a key and for ever
  retention_in_days = var.log_days
  kms_key_id        = aws_kms_key.this.arn
}

resource "aws_db_instance" "prefect" {
  #checkov:skip=CKV_AWS_157:a second zone doubles the price; while the server is away runs go on and wait for it
  #checkov:skip=CKV_AWS_161:the Prefect server logs in by a connection URL, it can fetch no IAM token
  #checkov:skip=CKV_AWS_118:the log of slow statements is enough for a database of this size
  identifier                      = "${var.name}-prefect"
  engine                          = "postgres"
  engine_version                  = "17"
  instance_class                  = var.database_class
  allocated_storage               = 20
  max_allocated_storage           = 100
  storage_type                    = "gp3"
  storage_encrypted               = true
  kms_key_id                      = aws_kms_key.this.arn
  db_name                         = "prefect"
  username                        = "prefect"
  password_wo                     = var.database_password
  password_wo_version             = var.database_password_version
  db_subnet_group_name            = aws_db_subnet_group.prefect.name
  parameter_group_name            = aws_db_parameter_group.prefect.name
  vpc_security_group_ids          = [aws_security_group.database.id]
  publicly_accessible             = false
  auto_minor_version_upgrade      = true
  backup_retention_period         = 7
  copy_tags_to_snapshot           = true
  deletion_protection             = true
  skip_final_snapshot             = false
  final_snapshot_identifier       = "${var.name}-prefect-last"
  performance_insights_enabled    = true
  performance_insights_kms_key_id = aws_kms_key.this.arn
  enabled_cloudwatch_logs_exports = ["postgresql"]
  depends_on                      = [aws_cloudwatch_log_group.database]
}
